"""Deploy race in sync: the second release is pushed when Argo CD has begun to sync the first one."""

from __future__ import annotations

from rollproof.faults.deploy_race import DeployRace

__all__ = ["FAULT"]


class DeployRaceInSync(DeployRace):
    """Pods of both versions are on their way: those of the first must be gone again at the end."""

    name = "deploy-race-in-sync"
    in_sync = True


FAULT = DeployRaceInSync()
