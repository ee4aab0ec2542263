"""`python -m rollproof`: the same as the command `rollproof`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parents[1]
    if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() != here:
        del sys.path[0]  # `-m` puts the current directory first: a folder `kubernetes/` in it is not the library

    from rollproof.cli import main

    main()
