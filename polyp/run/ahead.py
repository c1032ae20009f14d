"""Doing the next while the present is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(function: Callable[[Item], Result], items: Iterable[Item], depth: int = 1) -> Iterator[Result]:
    """`map(function, items)` in order, on a thread that is at most `depth` items ahead.

    Decoders, encoders and networks let go of Python's lock, so they run beside each other.
    """
    waiting: deque[Future[Result]] = deque()
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        try:
            waiting.extend(pool.submit(function, item) for item in islice(iterator, depth))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(iterator, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
