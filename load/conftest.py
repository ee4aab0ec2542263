"""The fixtures `run`, `release`, `traffic`, `drift` and `faults`, without the plugin's prefix."""

from __future__ import annotations

from rollproof.run.fixtures import drift, faults, release, run, traffic

__all__ = ["drift", "faults", "release", "run", "traffic"]
