"""`python -m rollproof`: the same as the command `rollproof`."""

from rollproof.cli import main

if __name__ == "__main__":
    main()
