"""RunContext: what a session hands to the drills of its run; `run.drill` knows nothing else of the session.

It decides nothing and closes nothing: the session creates its parts and closes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.preflight.checks import Clients
from rollproof.probes.keeping import Keeper
from rollproof.probes.watches import Watches
from rollproof.release import TAG_KIND, Release, Rollout
from rollproof.reports.console import LiveConsole
from rollproof.run.abort import AbortProbe
from rollproof.run.renewal import Renewal, renewal_of
from rollproof.store.journal import Journal
from rollproof.store.runfolder import RunFolder

__all__ = ["RunContext"]


@dataclass(kw_only=True)
class RunContext:
    """One run, open: its plan is on disk, its lock is held, its watches run.

    `environ` holds the variables that the target's `*_env` fields name. `check_lock` raises LockedError if another run
    may be at work on the target. `finished` tells the session that the drill has come to its end. `deployed` is the
    release that is open in this run, for the drills after the one that made it. `steady`: whether the steady state was
    there when it was looked for last. `probe`: what ends a drill under load that loses too much; None without load.
    `keeper` reads what failing pods say, while they are there.
    """

    plan: Plan
    environ: Mapping[str, str]
    folder: RunFolder
    journal: Journal
    clients: Clients
    watches: Watches
    release: Release
    console: LiveConsole
    keeper: Keeper
    check_lock: Callable[[], None]
    finished: Callable[[], None]
    deployed: Rollout | None = None
    steady: bool = True
    probe: AbortProbe | None = None
    _renewal: Renewal | None = None

    @property
    def target(self) -> Target:
        """The system under test."""
        return self.plan.target

    def renewal(self) -> Renewal:
        """Replaces pods that a fault leaves behind. Made when first asked for: before the first fault of the run."""
        if self._renewal is None:
            self._renewal = renewal_of(self.target, self.clients, self.watches, self.folder)
        return self._renewal

    def status(self, text: str) -> None:
        """Show on the console what is being waited for."""
        self.console.status(text)

    def running_sha(self) -> str:
        """The version that should be running now: the deployed one if a release is open, else the one from before.

        A release that was only observed is not undone: after its commit was seen, its version is what should run. One
        that a drill has reverted is not open, although its journal entry is.
        """
        if self.deployed is not None and self.deployed.reverted:
            return self.plan.old_sha
        observed = self.target.release.mode == "observe" and self.deployed is not None and self.deployed.revision
        ours = bool(self.journal.open_entries(TAG_KIND))
        return self.plan.new_sha if ours or observed else self.plan.old_sha

    def awaits_rollout(self) -> bool:
        """Whether the commit that this run is to observe exists: then the app is at rest only after its rollout."""
        observing = self.target.release.mode == "observe" and bool(self.plan.new_sha) and self.deployed is None
        return observing and self.clients.repo.tag() == self.plan.new_sha
