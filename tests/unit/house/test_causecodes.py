"""The closed list of causes (`core.causecodes`): it has every code that the judging code can say, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from house.syntax import nodes

import rollproof
from rollproof.core.causecodes import CauseCode
from rollproof.core.reasons import (
    ASIDES,
    BREACHES,
    CAUSES_OF_BAD,
    DEEPEST,
    SYMPTOMS,
    HealCause,
    HealStage,
    StageCause,
    code_of,
)
from rollproof.judge.checkers.posture.table import CHECKS

JUDGE = Path(rollproof.__file__).parent / "judge"
SHAPE = re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)*")
NO_CODES = {"CAUSES", "CHECKERS", "CONTROLLER", "CHECKS", "KEEPALIVE", "P99", "SPARSE"}  # names in __all__, and a word


def constants() -> Iterator[str]:
    """Every text in the judging code that looks like a code, but for names of constants in `__all__`."""
    for path in sorted(JUDGE.rglob("*.py")):
        texts = (node.value for node in nodes(path) if isinstance(node, ast.Constant))
        codes = (text for text in texts if isinstance(text, str) and SHAPE.fullmatch(text))
        yield from (code for code in codes if not code.endswith("_S") and code not in NO_CODES)


def said() -> set[str]:
    """The codes that are made by joining words."""
    of_containers = {one for found in CAUSES_OF_BAD.values() for one in found}
    return {
        *(code_of(one) for one in (*StageCause, *of_containers)), *(one.upper() for one in HealCause),
        *(one.upper().replace("-", "_") for one in HealStage), *(check.code for check in CHECKS.values()),
    }  # fmt: skip


def test_every_code_that_can_be_said_is_listed() -> None:
    assert {*constants(), *said()} - set(CauseCode) == set(), "add it to core/causecodes.py"


def test_no_code_is_listed_that_nobody_says() -> None:
    assert set(CauseCode) - {*constants(), *said()} == set()


def test_each_code_has_one_place_in_the_ranking() -> None:
    ranked = [code for one in (DEEPEST, BREACHES, SYMPTOMS, ASIDES) for code in one]
    assert len(ranked) == len(set(ranked))
    assert set(ranked) <= set(CauseCode)
