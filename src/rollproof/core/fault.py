"""Fault: one injected fault as the facts tell it: the closed list of its words, and the only reader of their fields.

    planned ─► injecting ─► injected ─► effect ─► recovered ─► undone
       └► skipped   └► void, error        └► no-effect  └► not-recovered

Whoever injects a fault records these words and no others; checkers and reports ask by name and know no field.
"""

from __future__ import annotations

from enum import StrEnum

from rollproof.core.attempt import Attempt, said_by_subject
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.injection import Injection, Skip
from rollproof.core.part import ActKind
from rollproof.core.target import FaultSettings
from rollproof.core.trials import is_drift

__all__ = ["SOURCE", "Fault", "FaultWord", "find_faults", "loss_budget_s", "planned_faults", "subject_of"]

SOURCE = "fault"
_KIND = "Fault"


class FaultWord(StrEnum):
    """What may be said of a fault."""

    PLANNED = "planned"
    SKIPPED = "skipped"  # this target cannot have it; nothing was touched
    VOID = "void"  # the plan was not true any more, or the change changed nothing
    ABORTED = "aborted"  # it was ended at once: the traffic lost more than was allowed
    ERROR = "error"  # the harness failed; what happened is not known
    INJECTING = "injecting"  # it is in the journal, and about to be asked for: the act begins
    INJECTED = "injected"  # the API's reply
    EFFECT = "effect"  # the watched fact that proves that the fault was felt
    NO_EFFECT = "no-effect"  # none came in time
    RECOVERED = "recovered"  # the steady state was back
    NOT_RECOVERED = "not-recovered"  # it was not, for as long as was waited
    UNDONE = "undone"


_BROKEN_OFF = {  # of a fault of which several are said, the first is told
    FaultWord.ERROR: "the harness could not do it",
    FaultWord.VOID: "void",
    FaultWord.ABORTED: "it was ended at once",
}


class Fault(Attempt):
    """What is known of one fault."""

    __slots__ = ()

    @property
    def kind(self) -> ActKind:
        """A fault."""
        return ActKind.FAULT

    @property
    def name(self) -> str:
        """The fault."""
        return f"the fault {self.short_name}"

    @property
    def begun(self) -> bool:
        """Whether the target may have been touched."""
        return FaultWord.INJECTING in self.said or FaultWord.INJECTED in self.said

    @property
    def started(self) -> Event:
        """The moment before it was asked for."""
        return self.said.get(FaultWord.INJECTING) or self.said[FaultWord.INJECTED]

    @property
    def asked_s(self) -> float:
        """For how long it was asked for: within that time of its start it began. 0 where no answer was seen."""
        answered = self.said.get(FaultWord.INJECTED)
        return answered.end_s - self.started.start_s if answered is not None else 0.0

    @property
    def happened(self) -> Event | None:
        """The evidence of its effect, seen after the start; what came without one was no fault."""
        felt = self._sure(FaultWord.EFFECT)
        return felt if felt is not None and self.begun and felt.end_s >= self.started.start_s else None

    @property
    def victims(self) -> frozenset[str]:
        """The uids of the pods that its effect was seen on."""
        return frozenset(str(uid) for uid in self.happened.data.get("pods") or ()) if self.happened else frozenset()

    @property
    def recovered(self) -> Event | None:
        """The fact that says since when the steady state was back; None if it was not, or nobody saw it."""
        return self._sure(FaultWord.RECOVERED)

    @property
    def over_s(self) -> float | None:
        """When the steady state was back, and the fault taken away where it had to be."""
        return self.end_s if self.recovered is not None else None

    @property
    def over_means(self) -> str:
        """Recovery."""
        return f"the target had recovered from {self.name}"

    @property
    def change(self) -> str:
        """What was planned, in words: the object, and what is done to it."""
        planned = self.said.get(FaultWord.PLANNED)
        return f"{planned.data.get('object', '')} {planned.data.get('change', '')}".strip() if planned else ""

    @property
    def pod(self) -> str:
        """The one pod that it is done to, as `namespace/name`; "" if it is done to something else."""
        planned = self.said.get(FaultWord.PLANNED)
        kind, _, name = str(planned.data.get("object", "") if planned else "").partition("/")
        return name if kind == "Pod" else ""

    @property
    def limit_s(self) -> float | None:
        """Within what time of its start the target must have recovered; None if no plan was recorded."""
        return self._planned_s("limit_s")

    @property
    def effect_within_s(self) -> float | None:
        """Within what time the effect was to be seen; None if no plan was recorded."""
        return self._planned_s("effect_within_s")

    @property
    def version(self) -> str:
        """The app version that it brought, which may answer until it is taken away; "" for none."""
        planned = self.said.get(FaultWord.PLANNED)
        return str(planned.data.get("version") or "") if planned is not None and self.begun else ""

    @property
    def effect_s(self) -> float | None:
        """Seconds from the start to the evidence of the effect."""
        return self._since_started_s(self.happened)

    @property
    def held(self) -> bool:
        """Whether it was to last until it was undone: then the recovery can only begin there."""
        planned = self.said.get(FaultWord.PLANNED)
        return planned is not None and planned.data.get("held") is True

    @property
    def recovery_s(self) -> float | None:
        """Seconds from the start, of a held fault from its end, to the steady state."""
        since_s, back = self.limit_from_s, self.recovered
        return back.end_s - since_s if back is not None and since_s is not None else None

    @property
    def limit_from_s(self) -> float | None:
        """From when on the limit of its recovery counts: its start, of a held fault the end of its undo."""
        if not self.held:
            return self.started.start_s if self.begun else None
        undone = self.said.get(FaultWord.UNDONE)
        return undone.end_s if undone is not None else None

    @property
    def not_recovered(self) -> Event | None:
        """The fact that says that the steady state was not back for as long as was waited; None if nothing does."""
        return self.said.get(FaultWord.NOT_RECOVERED)

    @property
    def recovered_unfelt(self) -> bool:
        """Whether the steady state was seen before the effect, and not since."""
        felt, back = self.happened, self.recovered
        return felt is not None and back is not None and back.end_s < felt.end_s

    @property
    def watched(self) -> str:
        """Which fact proved the effect, in words."""
        return str(self.happened.data.get("watched") or "its effect") if self.happened is not None else ""

    @property
    def healer_gone(self) -> bool:
        """Whether what heals drifts was away itself, so that nothing can have been healed while it was."""
        return self.happened is not None and self.happened.data.get("healer_gone") is True

    @property
    def away_s(self) -> tuple[float, float] | None:
        """Of a held fault: from when it was felt until its undo began; None if one of the two is not known."""
        felt, undone = self.happened, self.said.get(FaultWord.UNDONE)
        return (felt.end_s, undone.start_s) if self.held and felt is not None and undone is not None else None

    @property
    def felt_by(self) -> frozenset[str]:
        """The uids of the pods that it was seen on."""
        return frozenset(map(str, self.happened.data.get("pods") or ())) if self.happened is not None else frozenset()

    @property
    def margin_s(self) -> float | None:
        """Of a loss with a notice: seconds from the end of the last pod to it; None if not all were seen to go."""
        injected = self.said.get(FaultWord.INJECTED)
        value = injected.data.get("margin_s") if injected is not None else None
        return None if value is None else float(value)

    @property
    def watched_in_vain_s(self) -> float:
        """Seconds until it was given up that the effect, or else the recovery, would come; else 0.

        They count from the start; the recovery from a held fault from its end. Of a recovery they end where the last
        look at it began: what came after that was not seen.
        """
        event, since_s = self.not_recovered, self.limit_from_s
        if event is None:
            return self._since_started_s(self.said.get(FaultWord.NO_EFFECT)) or 0.0
        at_s = event.not_before_s
        return 0.0 if since_s is None else (event.end_s if at_s is None else at_s) - since_s

    @property
    def last_seen(self) -> str:
        """The state in which the target was seen last, where it did not recover."""
        event = self.said.get(FaultWord.NOT_RECOVERED)
        return str(event.data.get("last_seen") or "") if event is not None else ""

    @property
    def cause(self) -> str:
        """Why the target did not recover (`NotBack`); "" if nobody knows."""
        event = self.said.get(FaultWord.NOT_RECOVERED)
        return str(event.data.get("cause") or "") if event is not None else ""

    @property
    def repaired_by(self) -> str:
        """Who had repaired it at the end of the wait for the recovery (`RepairedBy`); "" if that was not asked."""
        event = self.said.get(FaultWord.RECOVERED) or self.said.get(FaultWord.NOT_RECOVERED)
        return str(event.data.get("by") or "") if event is not None else ""

    @property
    def undone_by(self) -> str:
        """Who took it away; "" if that was not recorded."""
        event = self.said.get(FaultWord.UNDONE)
        return str(event.data.get("by") or "") if event is not None else ""

    @property
    def broken_off(self) -> str:
        """Why it was not carried through: the harness failed, it was void, or somebody ended it; "" if none of that."""
        return next((f"{how}: {self.reason(word)}" for word, how in _BROKEN_OFF.items() if word in self.said), "")

    def why_void(self) -> str:
        """Nobody saw an effect, and what was said instead."""
        return f"{self.name} had no effect that anybody saw ({self.why_unfinished()})"

    def why_not_over(self) -> str:
        """Nobody saw the recovery, and what was said instead."""
        return f"the target was not seen to recover from {self.name} ({self.why_unfinished()})"

    def why_unfinished(self) -> str:
        """One clause about why its end, or its effect, is not known."""
        if self.broken_off:
            return self.broken_off
        if FaultWord.NOT_RECOVERED in self.said or FaultWord.NO_EFFECT in self.said:
            return f"watched for {self.watched_in_vain_s:.1f} s"
        return f"the last that is known is {self.last_word()!r}"

    def _sure(self, word: FaultWord) -> Event | None:
        event = self.said.get(word)
        return event if event is not None and event.outcome is Outcome.OK else None

    def _planned_s(self, name: str) -> float | None:
        planned = self.said.get(FaultWord.PLANNED)
        value = planned.data.get(name) if planned is not None else None
        return None if value is None else float(value)

    def _since_started_s(self, event: Event | None) -> float | None:
        return event.end_s - self.started.start_s if event is not None and self.begun else None


def subject_of(name: str) -> str:
    """The subject of the events of the fault of that name."""
    return f"{_KIND}/{name}"


def loss_budget_s(settings: FaultSettings, name: str) -> float:
    """For how long after the start of the fault of that name requests may be lost, where some must be."""
    return settings.loss_budgets_s.get(name, settings.node_loss_budget_s)


def planned_faults(facts: Facts) -> tuple[Fault, ...]:
    """Those that the plan has for this drill, in its order, and then whatever else the timeline tells of; no drifts.

    One of which nothing was recorded has nothing said.
    """
    found = {fault.subject: fault for fault in find_faults(facts)}
    named: tuple[Injection | Skip, ...] = (*facts.plan.injections, *facts.plan.skips)
    names = [one.fault for one in named if one.drill == facts.drill and not is_drift(one.fault)]
    planned = {subject_of(name): Fault(subject_of(name), {}) for name in names}
    return tuple({**planned, **found}.values())


def find_faults(facts: Facts) -> tuple[Fault, ...]:
    """Every fault that the timeline tells of, in order."""
    return tuple(Fault(subject, said) for subject, said in said_by_subject(facts, SOURCE, _KIND).items())
