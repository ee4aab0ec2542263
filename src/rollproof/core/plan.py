"""Plan: a run, fully resolved before anything is touched. What the plan does not name is not changed."""

from __future__ import annotations

from dataclasses import dataclass

from rollproof.core.injection import NO_DEAD_MAN, Injection, Skip
from rollproof.core.reasons import BadKind
from rollproof.core.target import Target

__all__ = ["SCHEMA", "Plan", "Touch"]

SCHEMA = 1  # of the run folder: a reader refuses a newer one


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """One change that the run will make: the object, the exact change, and how it is undone."""

    drill: str
    subject: str
    change: str
    undo: str

    @classmethod
    def of(cls, injection: Injection) -> Touch:
        """The line of an injection. What undoes it if nobody comes back is said where anything could be needed."""
        dead_man = "" if injection.dead_man == NO_DEAD_MAN else f"; if rollproof is killed: {injection.dead_man}"
        undo = f"{injection.undo}{dead_man}"
        return cls(drill=injection.drill, subject=injection.subject, change=injection.change, undo=undo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will happen. `old_sha` is the app version found running; `new_sha` the release to prove ("" if none).

    `restart` is True when `new_sha` already runs: the release drill then restarts the rollout and says so.
    `injections` are executed as they stand here; `skips` are the faults that this target cannot have.
    `keep` is "always", "on-pass" or "never": what stays deployed after the run.
    """

    schema: int
    run_id: str
    drills: tuple[str, ...]
    target: Target
    old_sha: str
    new_sha: str
    restart: bool
    keep: str
    env_repo_head: str  # revision of the branch before the run
    bad: str = ""  # what `new_sha` is known to be bad for (`core.reasons.BadKind`); "": nothing
    under_load: bool = False  # do drills send requests that would not have to?
    touches: tuple[Touch, ...] = ()
    injections: tuple[Injection, ...] = ()
    skips: tuple[Skip, ...] = ()

    @property
    def needs_image(self) -> bool:
        """Must the image of `new_sha` exist already? Not where its pipeline may still build it, nor for a restart."""
        if self.bad == BadKind.IMAGE_MISSING:
            return False
        return bool(self.new_sha) and not self.restart and self.target.release.mode == "push"
