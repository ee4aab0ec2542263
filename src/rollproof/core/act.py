"""The act of a drill, as the facts tell it: what was rolled out, from which sha to which, and when.

Release and rollback are the same act seen from two sides (a commit travels to the pods), so every checker asks here
instead of knowing both vocabularies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.reasons import StageCause

__all__ = ["STAGES", "Act", "find_act"]

STAGES = ("committed", "restarted", "pushed", "seen", "synced", "rolled-out", "old-gone", "proven")


@dataclass(frozen=True, slots=True)
class Act:
    """One rollout: `source` is "release" or "rollback"; the shas are app versions, before and after.

    `stages` maps a stage's name to its event; `failed` is set when the act could not be brought to its end.
    """

    source: str
    started: Event
    from_sha: str
    to_sha: str
    old_uids: tuple[str, ...]
    stages: Mapping[str, Event]
    failed: Event | None

    @property
    def end_s(self) -> float | None:
        """When the last stage that happened ended, or None if none did."""
        return max((event.end_s for event in self.stages.values()), default=None)

    @property
    def taken_over(self) -> bool:
        """Whether somebody put another tag on top of ours meanwhile: what the pods did then was not our rollout."""
        return self.failed is not None and self.failed.data.get("cause") in {
            StageCause.SUPERSEDED,
            StageCause.OVERWRITTEN,
        }

    def why_unfinished(self) -> str:
        """One clause about why the act did not reach its end."""
        if self.failed is not None:
            data: Mapping[str, Any] = self.failed.data
            where = f"{data.get('cause') or 'failed'} at stage {data.get('stage', '?')!r}"
            return f"{where}: {data.get('reason', 'no reason')}"
        last = next((stage for stage in reversed(STAGES) if stage in self.stages), "started")
        return f"it got no further than {last!r}"


def find_act(facts: Facts) -> Act | None:
    """The act to be judged: the rollback if the drill had one, else the release, else None."""
    for source in ("rollback", "release"):
        started = facts.last(source=source, what="started")
        if started is not None:
            return _act(facts, started)
    return None


def _act(facts: Facts, started: Event) -> Act:
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
    pods = started.data.get("old_pods", ())
    return Act(
        source=started.source,
        started=started,
        from_sha=new if back else old,
        to_sha=old if back else new,
        old_uids=tuple(str(pod["uid"]) for pod in pods),
        stages=stages,
        failed=failed,
    )
