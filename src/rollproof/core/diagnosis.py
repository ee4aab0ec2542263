"""Diagnosis: the ranked causes of a run that did not pass, each with its evidence and the change that would mend it.

A cause never decides a result. The first one is what a person should look at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollproof.core.verdict import Number

__all__ = ["Cause", "Patch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A change of the env repo: a file to add, and what to do with it.

    file: its path in the env repo; text: its content, YAML; apply: how it takes effect, in words or as a command;
    caveats: what a person must know before.
    """

    file: str
    text: str
    apply: str
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One likely cause. `code`, `text`, `hint` and `numbers` are those of a finding (`core.verdict`).

    supports, contradicts: what speaks for and against it, each one sentence; patch: None where none can be written, and
    `why_no_patch` says why; proof: the command that would show that the change helps.
    """

    code: str
    text: str
    hint: str = ""
    drill: str = ""
    checker: str = ""
    numbers: Mapping[str, Number] = field(default_factory=dict, hash=False)
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    evidence: tuple[int, ...] = ()
    patch: Patch | None = None
    why_no_patch: str = ""
    proof: str = ""
