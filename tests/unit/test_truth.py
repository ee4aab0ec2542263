"""The track record's own judgement: what counts as caught, and as named."""

from __future__ import annotations

from typing import Any

import pytest

from rollproof.errors import InputError
from rollproof.sandbox.defects import DEFECTS, with_defects
from rollproof.sandbox.settings import Settings
from tests.truth.case import judged
from tests.truth.table import page


def stored(result: str, checker: str, why: str = "", *codes: str) -> dict[str, Any]:
    findings = [{"code": code} for code in codes]
    return {
        "result": result,
        "verdicts": [
            {"checker": "undo", "result": "PASS", "why": "", "findings": []},
            {"checker": checker, "result": result, "why": why, "findings": findings},
        ],
    }


BY_CODE, BY_WORDS, BY_NOBODY = DEFECTS["self-heal-off"], DEFECTS["old-pod-stuck"], DEFECTS["tag-latest"]


@pytest.mark.parametrize(
    ("defect", "run", "code", "wanted"),
    [
        (BY_CODE, stored("FAIL", "drift", "", "SELF_HEAL_OFF"), 1, (True, True)),
        (BY_CODE, stored("FAIL", "drift", "", "OTHER"), 1, (True, False)),
        (BY_CODE, stored("FAIL", "watches", "", "SELF_HEAL_OFF"), 1, (True, False)),
        (BY_CODE, stored("INCONCLUSIVE", "drift", "", "SELF_HEAL_OFF"), 3, (False, False)),
        (BY_CODE, stored("FAIL", "drift", "", "SELF_HEAL_OFF"), 4, (False, False)),
        (BY_CODE, {}, 1, (False, False)),
        (BY_WORDS, stored("FAIL", "rollout", "1 of 2 old pods were Left behind"), 1, (True, True)),
        (BY_NOBODY, {}, 3, (True, True)),
        (BY_NOBODY, {}, 2, (False, False)),
    ],
)
def test_a_run_is_caught_by_its_result_and_named_by_checker_and_cause(
    defect: Any, run: dict[str, Any], code: int, wanted: tuple[bool, bool]
) -> None:
    assert judged(defect, run, code, "the overlay says latest")[:2] == wanted


def test_an_unknown_defect_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no defect 'exit-at-sigtem'") as caught:
        with_defects(["exit-at-sigtem"], Settings())
    assert "'exit-at-sigterm'" in caught.value.hint


def test_defects_that_contradict_each_other_are_refused_and_others_add_up() -> None:
    with pytest.raises(InputError, match=r"'prestop-too-short' and 'endpoint-lag-4s' both change \w+\.\w+"):
        with_defects(["prestop-too-short", "endpoint-lag-4s"], Settings())
    settings = with_defects(["wrong-version", "self-heal-off", "wrong-version"], Settings())
    assert (settings.next_app.health_version, settings.argocd.self_heal) == ("0badbad", False)


def test_every_defect_changes_something_but_the_sound_ones() -> None:
    unchanged = [name for name in DEFECTS if with_defects([name], Settings()) == Settings()]
    assert all(DEFECTS[name].group == "sound" for name in unchanged)


def test_an_empty_track_record_claims_nothing() -> None:
    assert "caught" not in page([], took_s=0).split("*Named*")[1].partition("do not edit")[2]
