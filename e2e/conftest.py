"""The drills' words: `run`, `release`, `traffic`, `drift`, `faults` and `jobs`, without the plugin's prefix."""

from __future__ import annotations

from rollproof.run.fixtures import drift, faults, jobs, release, run, traffic

__all__ = ["drift", "faults", "jobs", "release", "run", "traffic"]
