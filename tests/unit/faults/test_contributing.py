"""CONTRIBUTING.md: its three worked examples are accepted where they belong, and do what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import expected_verdicts
import pytest
from faults.podcluster import Stage
from story import good_release

import rollproof.faults
from rollproof.core.verdict import Result
from rollproof.faults import registry
from rollproof.judge import checkers
from rollproof_sandbox import defects
from rollproof_sandbox.settings import Settings

PAGE = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"


def example(section: str) -> str:
    """The code in a section of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return str(code)


def module_of(code: str) -> ModuleType:
    module = ModuleType("example")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - a page of this repository
    return module


def test_the_fault_is_found_by_the_registry_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, staged: Callable[..., Stage]
) -> None:
    (tmp_path / "pod_delete_last.py").write_text(example("A fault"), encoding="utf-8")
    monkeypatch.setattr(rollproof.faults, "__path__", [*rollproof.faults.__path__, str(tmp_path)])
    registry.all_faults.cache_clear()
    try:
        fault = registry.fault_named("pod-delete-last")
    finally:
        registry.all_faults.cache_clear()
        sys.modules.pop("rollproof.faults.pod_delete_last", None)
    stage = staged(fault)
    assert stage.injection().subject == "Pod/shop/web-2"
    assert stage.run()[-2:] == ["recovered", "undone"]
    assert stage.verdict() is Result.PASS


@pytest.mark.parametrize(("limit_s", "result"), [(600.0, Result.PASS), (0.5, Result.FAIL)])
def test_the_checker_judges(monkeypatch: pytest.MonkeyPatch, limit_s: float, result: Result) -> None:
    module = module_of(example("A checker"))
    module.LIMIT_S = limit_s  # type: ignore[attr-defined]
    monkeypatch.setattr(checkers, "CHECKERS", {"duration": module.check})
    [said] = checkers.judge(good_release().facts(), ["duration"])
    assert (said.result, said.why.partition(" was")[0]) == (result, "the rollout")
    assert said.evidence


def test_the_checker_says_nothing_of_what_it_did_not_see() -> None:
    check = module_of(example("A checker")).check
    found = {
        check(facts).result for name in checkers.CHECKERS for _, facts in expected_verdicts.histories(name)
    }  # every story of every checker: no exception
    assert Result.INCONCLUSIVE in found


def test_the_defect_is_a_change_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    row = eval(example("A defect"), vars(defects))  # noqa: S307 - a page of this repository
    [defect] = defects.of_group("release", row)
    monkeypatch.setattr(defects, "DEFECTS", {**defects.DEFECTS, defect.name: defect})
    assert defects.with_defects([defect.name], Settings()) != Settings()
    assert defect.group in defects.GROUPS
    assert defect.checker in checkers.CHECKERS
