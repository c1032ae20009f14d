"""`python -m polyp.run.sweeping.attached MODULE ARGUMENT...`: `python -m MODULE ARGUMENT...`, for a worker.

It ends when its worker does. A worker that is killed cannot stop its job, which would then write into the
folder where another worker goes on with it. So the worker holds the other end of this process's stdin and
never writes: the pipe's end is the worker's.
"""

import os
import runpy
import sys
import threading


def _end_with_worker() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_worker, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
