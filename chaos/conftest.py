"""The drills' words: `run`, `release`, `traffic` and `drift`, without the plugin's prefix."""

from __future__ import annotations

from rollproof.run.fixtures import drift, release, run, traffic

__all__ = ["drift", "release", "run", "traffic"]
