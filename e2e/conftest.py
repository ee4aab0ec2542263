"""The drills' words (`run`, `release`, `traffic`, `jobs`, `secrets` and so on), without the plugin's prefix."""

from __future__ import annotations

from rollproof.run.fixtures import drift, faults, jobs, release, run, secrets, traffic

__all__ = ["drift", "faults", "jobs", "release", "run", "secrets", "traffic"]
