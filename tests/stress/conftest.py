"""One table at the end of everything that was tried, and what it got: `pytest tests/stress -m stress`."""

from collections import Counter, defaultdict

import pytest

VERDICTS = ("right", "refused", "wrong", "traceback", "crash", "hang")
_tried: dict[str, Counter] = defaultdict(Counter)


@pytest.fixture
def tried(record_property):
    """Note what one attempt got: `tried("mutated pictures, predict", "refused")`."""
    return lambda kind, verdict: record_property("tried", (kind, verdict))


def pytest_runtest_logreport(report):
    """Gather what the tests noted, from whatever process they ran in."""
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "tried":
                _tried[value[0]][value[1]] += 1


def pytest_terminal_summary(terminalreporter):
    """Print the table."""
    if not _tried:
        return
    terminalreporter.section("everything tried, and what it got")
    width = max(map(len, _tried))
    terminalreporter.line(" ".join([" " * width, "tried", *(f"{name:>9}" for name in VERDICTS)]))
    for kind, counts in sorted(_tried.items()):
        cells = [f"{counts[name] or '':>9}" for name in VERDICTS]
        terminalreporter.line(" ".join([f"{kind:{width}}", f"{sum(counts.values()):5}", *cells]))
