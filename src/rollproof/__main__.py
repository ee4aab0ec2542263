"""`python -m rollproof`, and the command `rollproof`: the door, which is there before anything heavy is imported."""

import gc
import os
import signal
import sys

__all__ = ["main"]

_NEW_OBJECTS = 50_000  # more than Python's 700 before garbage is looked for: imports make many objects, and no garbage


def main() -> None:
    """Run the command line. Ctrl-C while it is imported is a message, as later on."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from rollproof.cli import main as command_line  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(3)
    try:
        command_line()
    finally:  # one more Ctrl-C must not change how the process ends
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        gc.freeze()  # what is there now ends with the process: it would be looked through three times for garbage


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib takes 20 ms
    if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0] or ".") != here:
        del sys.path[0]  # `-m` puts the current directory first: a folder `kubernetes/` in it is not the library

    main()
