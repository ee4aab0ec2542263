"""The fixtures `run`, `release`, `traffic`, `autoscaling`, `drift` and `faults`, without the plugin's prefix."""

from __future__ import annotations

from rollproof.run.fixtures import autoscaling, drift, faults, release, run, traffic

__all__ = ["autoscaling", "drift", "faults", "release", "run", "traffic"]
