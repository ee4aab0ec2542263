"""Drift: one trial of the drift drill as the facts tell it (docs/facts.md); the only reader of its words and fields."""

from __future__ import annotations

from rollproof.core.attempt import Attempt, said_by_subject
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.part import ActKind
from rollproof.core.watched import image_tag

__all__ = ["DriftTrial", "drift_trial", "drift_trials"]


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
        before = self.said.get("before")
        tried = before is not None and bool(before.data.get("fair")) and "error" in self.said
        return "injected" in self.said or tried

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
    def version(self) -> str:
        """The app version that the trial put in place: the tag, if it changed the image; else ""."""
        data = self.said["injected"].data if "injected" in self.said else {}
        return image_tag(data.get("to")) if str(data.get("field", "")).endswith(".image") else ""

    def why_void(self) -> str:
        """Nothing is known to have been changed."""
        why = f"the harness failed: {self.reason('error')}" if "error" in self.said else f"only {self.last_word()!r}"
        return f"{self.name} is not known to have changed anything ({why})"

    def why_not_over(self) -> str:
        """It is not known that the object is as before."""
        return f"{self.name} was not seen to be undone (the last that is known is {self.last_word()!r})"


def drift_trials(facts: Facts) -> tuple[DriftTrial, ...]:
    """Every trial that the timeline tells of, in order."""
    return tuple(DriftTrial(subject, said) for subject, said in said_by_subject(facts, "drift", "Drift").items())


def drift_trial(facts: Facts, name: str) -> DriftTrial:
    """The trial of that name; with nothing said if the timeline does not know it."""
    subject = f"Drift/{name}"
    return next((one for one in drift_trials(facts) if one.subject == subject), DriftTrial(subject, {}))
