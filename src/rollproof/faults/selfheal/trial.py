"""Trial: one drift, resolved against the cluster as it is now: object, field, value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.core.trials import TRIALS
from rollproof.faults.objects import field_name

__all__ = ["GONE", "THERE", "Trial", "subject_of_trial"]

GONE, THERE = "deleted", "there"  # of a whole object: the words of the facts


def subject_of_trial(name: str) -> str:
    """A trial's subject on the timeline."""
    return f"Drift/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One drift of `core.trials`. Without a `path` the object is deleted; `value` is what the field is set to, None
    takes it away. `said`: the change in words, where the value is too long for a line of the plan.
    """

    name: str
    namespace: str
    object_name: str
    path: tuple[str, ...] = ()
    value: Any = None
    said: str = ""

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return TRIALS[self.name].kind

    @property
    def control(self) -> bool:
        """Must it not be healed?"""
        return TRIALS[self.name].control

    @property
    def deletes(self) -> bool:
        """Is the whole object deleted?"""
        return TRIALS[self.name].deletes

    @property
    def target(self) -> str:
        """The object as subjects name it."""
        return f"{self.kind}/{self.namespace}/{self.object_name}"

    @property
    def change(self) -> str:
        """The change in words."""
        if self.deletes:
            return "deleted"
        return f"{field_name(self.path)}: {self.said}" if self.said else f"{field_name(self.path)} = {self.value!r}"

    @property
    def undo(self) -> str:
        """How it is put back if self-heal does not."""
        if self.name == "void-patch":
            return "none needed: it changes nothing"
        if self.control:
            return "the annotation is removed again"
        return "created again from the saved object" if self.deletes else "set back, if it still has our value"

    @property
    def args(self) -> Mapping[str, Any]:
        """What the plan allows by naming it: the object and the field. The value may follow a release in between."""
        return {
            "trial": self.name, "kind": self.kind, "namespace": self.namespace, "name": self.object_name,
            "field": field_name(self.path),
        }  # fmt: skip
