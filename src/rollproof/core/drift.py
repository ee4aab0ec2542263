"""Drift: one trial of the drift drill as the facts tell it (docs/facts.md); the only reader of its words and fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.core.attempt import Attempt, said_by_subject
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.oldfacts import found_at_the_end, own_change_seen
from rollproof.core.part import ActKind
from rollproof.core.reasons import Found
from rollproof.core.watched import image_tag

__all__ = ["ArgoState", "Before", "DriftTrial", "Looked", "Restored", "argo_version", "drift_trial", "drift_trials"]


@dataclass(frozen=True, slots=True)
class ArgoState:
    """What Argo CD said about its operations, before or after a trial. A revision is "" where it was not told."""

    attempts: int | None
    operation_revision: str
    started_at: str
    automated: bool
    initiated_by: str


@dataclass(frozen=True, slots=True)
class Before:
    """The last look before the change: whether the trial was fair, and where it started from. Times in seconds."""

    event: Event
    state: ArgoState
    sync_revision: str
    fair: bool
    why_unfair: str
    window_denied: bool  # a sync window surely forbade syncs
    gap_s: float | None  # that Argo CD lets pass after an operation
    remaining_s: float  # of that gap
    quiet_s: float  # since the last operation


@dataclass(frozen=True, slots=True)
class Restored:
    """How the object came back: who wrote it ("" where nobody said), what, and whether it was all of it."""

    manager: str
    value: object
    complete: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """The end of a trial that nobody healed: for how long it was watched, and what the field was when it was read.

    `seen`: the trial's own watch has shown our change. `stage` and `checked` (None: nobody could look) are of a repair
    that did not come.
    """

    watched_s: float
    seen: bool
    found: Found
    stage: str
    checked: Mapping[str, bool | None]


class DriftTrial(Attempt):
    """What is known of one trial."""

    __slots__ = ()

    @property
    def kind(self) -> ActKind:
        """A drift."""
        return ActKind.DRIFT

    @property
    def name(self) -> str:
        """The trial."""
        return f"the drift {self.short_name}"

    @property
    def begun(self) -> bool:
        """Whether the object may have been changed: it was, or the harness failed while it was about to."""
        before = self.before
        return "injected" in self.said or (before is not None and before.fair and "error" in self.said)

    @property
    def started(self) -> Event:
        """The last look before the change was asked for; the change's own event comes only after the API's reply."""
        return self.said.get("before") or self.said["injected"]

    @property
    def happened(self) -> Event | None:
        """The API's reply, which has shown that the object was changed."""
        return self.said.get("injected")

    @property
    def over_s(self) -> float | None:
        """When the object was known to be as before, and all that followed from it was told."""
        return self.end_s if "undone" in self.said else None

    @property
    def over_means(self) -> str:
        """The end of the trial."""
        return f"{self.name} was undone"

    @property
    def control(self) -> bool:
        """Whether it is a control, which nobody is to heal."""
        return self._data("planned").get("kind") == "control"

    @property
    def change(self) -> str:
        """What was planned, in words."""
        planned = self._data("planned")
        return f"{planned.get('object', '')} {planned.get('change', '')}".strip()

    @property
    def deleted(self) -> bool:
        """Whether the whole object was deleted."""
        return self._data("injected").get("deleted") is True

    @property
    def version(self) -> str:
        """The app version that the trial put in place: the tag, if it changed the image; else ""."""
        data = self._data("injected")
        return image_tag(data.get("to")) if str(data.get("field")).endswith(".image") else ""

    @property
    def before(self) -> Before | None:
        """The last look before the change; None if there was none."""
        event = self.said.get("before")
        if event is None:
            return None
        data = event.data
        return Before(
            event=event,
            state=_argo_state(data),
            sync_revision=str(data.get("sync_revision") or ""),
            fair=bool(data.get("fair")),
            why_unfair=str(data.get("why_unfair") or "its preconditions did not hold"),
            window_denied=bool(data.get("window_denied")),
            gap_s=data.get("gap_s"),
            remaining_s=float(data.get("remaining_s") or 0.0),
            quiet_s=float(data.get("quiet_s") or 0.0),
        )

    @property
    def after(self) -> ArgoState | None:
        """Argo CD's state after the repair; None if it was not read."""
        return _argo_state(self.said["after"].data) if "after" in self.said else None

    @property
    def restored(self) -> Restored | None:
        """The repair; None if none was seen."""
        if "restored" not in self.said:
            return None
        data = self.said["restored"].data
        return Restored(str(data.get("manager") or ""), data.get("value"), data.get("complete") is not False)

    @property
    def stayed(self) -> Looked | None:
        """Of a control: that the change was still there at the end."""
        return _looked(self.said["stayed"].data, "watched_s") if "stayed" in self.said else None

    @property
    def not_healed(self) -> Looked | None:
        """That no repair came in time."""
        return _looked(self.said["not-healed"].data, "waited_s") if "not-healed" in self.said else None

    @property
    def healed_by_refresh(self) -> str | None:
        """Who restored it after Argo CD had been asked to look ("" where nobody said); None if that did not help."""
        data = self._data("refreshed")
        return str(data.get("manager") or "") if data.get("restored") else None

    @property
    def undone_by(self) -> str:
        """Who took the change away; "" if that is not known."""
        return str(self._data("undone").get("by") or "")

    def since_injected_s(self, word: str) -> float | None:
        """Seconds from the API's reply to the change until `word` was seen; None if it was not."""
        event = self.said.get(word)
        return event.end_s - self.said["injected"].end_s if event else None

    def why_interfered(self) -> str:
        """Who else wrote the same field, when, and what."""
        data = self._data("interfered")
        when = "after it was restored" if data.get("after_restored") else "during the trial"
        who = data.get("manager") or "nobody said who"
        return f"somebody else changed the same field {when} ({who}): {data.get('value')!r}"

    def why_void(self) -> str:
        """Nothing is known to have been changed."""
        why = f"the harness failed: {self.reason('error')}" if "error" in self.said else f"only {self.last_word()!r}"
        return f"{self.name} is not known to have changed anything ({why})"

    def why_not_over(self) -> str:
        """It is not known that the object is as before."""
        return f"{self.name} was not seen to be undone (the last that is known is {self.last_word()!r})"

    def _data(self, word: str) -> Mapping[str, Any]:
        event = self.said.get(word)
        return event.data if event is not None else {}


def _argo_state(data: Mapping[str, Any]) -> ArgoState:
    return ArgoState(
        attempts=data.get("attempts"),
        operation_revision=str(data.get("operation_revision") or ""),
        started_at=str(data.get("started_at") or ""),
        automated=bool(data.get("automated")),
        initiated_by=str(data.get("initiated_by") or ""),
    )


def _looked(data: Mapping[str, Any], waited: str) -> Looked:
    return Looked(
        watched_s=float(data.get(waited) or 0.0),
        seen=own_change_seen(data),
        found=found_at_the_end(data),
        stage=str(data.get("stage", "unknown stage")),
        checked=data.get("checked") or {},
    )


def drift_trials(facts: Facts) -> tuple[DriftTrial, ...]:
    """Every trial that the timeline tells of, in order."""
    return tuple(DriftTrial(subject, said) for subject, said in said_by_subject(facts, "drift", "Drift").items())


def drift_trial(facts: Facts, name: str) -> DriftTrial:
    """The trial of that name; with nothing said if the timeline does not know it."""
    subject = f"Drift/{name}"
    return next((one for one in drift_trials(facts) if one.subject == subject), DriftTrial(subject, {}))


def argo_version(facts: Facts) -> str | None:
    """Argo CD's version, as the drill has read it ("": not readable); None if no drift was tried."""
    event = facts.last(source="drift", subject="Drift", what="model")
    return str(event.data.get("version") or "") if event is not None else None
