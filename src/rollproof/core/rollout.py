"""Rollout: a release or a rollback as the facts tell it: what was rolled out, from which sha to which, and when.

The two are the same act seen from two sides (a commit travels to the pods), so every reader asks here instead of
knowing both vocabularies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.part import ActKind
from rollproof.core.reasons import StageCause
from rollproof.core.watched import pods_seen

__all__ = ["STAGES", "Rollout", "find_rollout", "rollout_of"]

STAGES = ("committed", "restarted", "pushed", "seen", "synced", "rolled-out", "old-gone", "proven")


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout: `source` is "release" or "rollback"; the shas are app versions, before and after.

    `stages` maps a stage's name to its event; `failed` is set when the rollout could not be brought to its end;
    `happened` is the first fact that shows that an old pod went.
    """

    source: str
    started: Event
    from_sha: str
    to_sha: str
    old_uids: tuple[str, ...]
    stages: Mapping[str, Event]
    failed: Event | None
    happened: Event | None

    @property
    def kind(self) -> ActKind:
        """A rollout."""
        return ActKind.ROLLOUT

    @property
    def name(self) -> str:
        """The release or rollback and its sha."""
        return f"the {self.source} of {self.to_sha or '?'}"

    @property
    def old_templates(self) -> frozenset[str]:
        """The hashes of the templates that the old pods were made from, as far as they were told."""
        told = (str(pod.get("template_hash") or "") for pod in self.started.data.get("old_pods", ()))
        return frozenset(told) - {""}

    @property
    def over_s(self) -> float | None:
        """When the last old pod was gone; None if that was not seen."""
        gone = self.stages.get("old-gone")
        return gone.end_s if gone is not None else None

    @property
    def end_s(self) -> float | None:
        """When the last stage that happened ended, or None if none did."""
        return max((event.end_s for event in self.stages.values()), default=None)

    @property
    def events(self) -> tuple[Event, ...]:
        """The start and every stage that happened."""
        return (self.started, *self.stages.values())

    @property
    def over_means(self) -> str:
        """The end of the old version."""
        return "the last old pod was gone"

    @property
    def restart(self) -> bool:
        """Whether the same sha was rolled out again, by a restart."""
        return bool(self.started.data.get("restart"))

    @property
    def taken_over(self) -> bool:
        """Whether somebody put another tag on top of ours meanwhile: what the pods did then was not our rollout."""
        return self.failed is not None and self.failed.data.get("cause") in {
            StageCause.SUPERSEDED,
            StageCause.OVERWRITTEN,
        }

    @property
    def cause(self) -> str:
        """Why it failed, as a word of `core.reasons` or of Kubernetes; "" if it did not."""
        return str(self.failed.data.get("cause", "")) if self.failed is not None else ""

    @property
    def failed_at(self) -> str:
        """The stage at which it failed, "" if it did not (`oldfacts` knows the older word)."""
        data = self.failed.data if self.failed is not None else {}
        return str(data.get("stage") or "")

    @property
    def look_at(self) -> str:
        """Where a person looks next after it failed."""
        return str(self.failed.data.get("look_at", "")) if self.failed is not None else ""

    @property
    def superseded_by(self) -> str:
        """The later commit, of somebody else, at which Argo CD was when it had seen ours; "" if it was at ours."""
        seen = self.stages.get("seen")
        return str(seen.data.get("revision")) if seen is not None and seen.data.get("superseded") else ""

    @property
    def pushed_commit(self) -> str:
        """The commit that was pushed, "" if none was."""
        pushed = self.stages.get("pushed")
        return str(pushed.data.get("commit", "")) if pushed is not None else ""

    @property
    def forward(self) -> bool:
        """Of a rollback: whether the old tag came by a new commit, because git could not revert."""
        committed = self.stages.get("committed")
        return committed is not None and bool(committed.data.get("forward"))

    @property
    def overlay_place(self) -> tuple[str, int] | None:
        """File and line (0: not told) of the tag that was committed; None if nothing was."""
        committed = self.stages.get("committed")
        if committed is None or not isinstance(path := committed.data.get("path"), str):
            return None
        line = committed.data.get("line_number")
        return path, line if isinstance(line, int) else 0

    def why_void(self) -> str:
        """No pod was replaced, and how far the rollout came."""
        return f"no pod was replaced ({self.why_unfinished()})"

    def why_not_over(self) -> str:
        """The last old pod is not known to be gone, and how far the rollout came."""
        return f"the last old pod was not seen to go ({self.why_unfinished()})"

    def why_unfinished(self) -> str:
        """One clause about why the rollout did not reach its end."""
        if self.failed is not None:
            data = self.failed.data
            where = f"{data.get('cause') or 'failed'} at stage {data.get('stage', '?')!r}"
            return f"{where}: {data.get('reason', 'no reason')}"
        last = next((stage for stage in reversed(STAGES) if stage in self.stages), "started")
        return f"it got no further than {last!r}"


def find_rollout(facts: Facts) -> Rollout | None:
    """The rollout to be judged: the rollback if the drill had one, else the release, else None."""
    for source in ("rollback", "release"):
        started = facts.last(source=source, what="started")
        if started is not None:
            return rollout_of(facts, started)
    return None


def rollout_of(facts: Facts, started: Event) -> Rollout:
    """The rollout that this fact `started` began, with all that followed of it."""
    stages: dict[str, Event] = {}
    failed: Event | None = None
    for event in facts.find(source=started.source):
        if event.seq <= started.seq:
            continue
        if event.what in STAGES:
            stages[event.what] = event
        elif event.what == "failed":
            failed = event
    old, new = str(started.data.get("old_sha", "")), str(started.data.get("new_sha", ""))
    back = started.source == "rollback"
    old_uids = tuple(str(pod["uid"]) for pod in started.data.get("old_pods", ()))
    return Rollout(
        source=started.source,
        started=started,
        from_sha=new if back else old,
        to_sha=old if back else new,
        old_uids=old_uids,
        stages=stages,
        failed=failed,
        happened=_first_gone(facts, started, old_uids) or (stages.get("old-gone") if old_uids else None),
    )


def _first_gone(facts: Facts, started: Event, old_uids: tuple[str, ...]) -> Event | None:
    """The first deletion of an old pod that a watch saw after the start."""
    gone = (pod for pod in pods_seen(facts) if pod.gone and pod.at_s >= started.start_s)
    return next((pod.event for pod in gone if pod.uid in old_uids), None)
