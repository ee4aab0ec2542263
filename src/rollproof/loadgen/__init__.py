"""The parent's side of the load: starts the generator's process (top-level `load/`), and reads its record."""

from rollproof.loadgen.session import LoadSession

__all__ = ["LoadSession"]
