"""Names that CI systems follow over months: equal for two releases with other shas, URLs, runs and pods (F1, F2)."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from storedruns import CORPUS, judged

from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import CHECKERS
from rollproof.judge.judging import judge_run
from rollproof.reports.allure import write_allure
from rollproof.reports.cases import cases
from rollproof.reports.junit import junit_xml
from rollproof.reports.model import Report
from rollproof.reports.words import stable_name
from rollproof.store.runfolder import RunFolder


def covering() -> list[Path]:
    """Few histories in which every checker says everything that it says in any."""
    said: dict[Path, set[tuple[str, str]]] = {}
    for path in sorted(CORPUS.glob("*/*/expected.json")):
        expected = json.loads(path.read_text())
        parts = (*expected.get("checkers", {}).values(), expected.get("must", {}))
        said[path.parent] = {(checker, one) for part in parts for checker, results in part.items() for one in results}
    chosen: list[Path] = []
    left = set().union(*said.values())
    while left:
        best = max(said, key=lambda path: len(said[path] & left))
        chosen.append(best)
        left -= said[best]
    return chosen


def renamed(source: Path, folder: Path) -> Path:
    """The same run, had the shas, the URL, the pods and the time been others."""
    shutil.copytree(source, folder)
    plan = json.loads((folder / "plan.json").read_text())
    others = {plan["target"]["app"]["base_url"]: "https://shop.example.org:4443", plan["run_id"]: "20300101T000000Z-x"}
    others |= {sha: f"0{index}{sha[::-1]}" for index, sha in enumerate((plan["old_sha"], plan["new_sha"])) if sha}
    text = (folder / "timeline.jsonl").read_text()
    others |= {
        pod: f"{pod[:-5]}zzz{at:02}" for at, pod in enumerate(sorted(set(re.findall(r'Pod/[\w-]+/([\w-]+)"', text))))
    }
    for name in ("plan.json", "timeline.jsonl"):
        (folder / name).write_text(replaced((folder / name).read_text(), others))
    fences = json.loads((folder / "plan.json").read_text())
    fences["target"]["fences"]["load_hosts"] += ["shop.example.org"]
    (folder / "plan.json").write_text(json.dumps(fences))
    for path in folder.glob("requests-*.npz"):
        with np.load(path) as packed:
            meta = np.array(replaced(str(packed["meta"]), others))
            np.savez(path, rows=packed["rows"], late_ns=packed["late_ns"], meta=meta)
    return folder


def replaced(text: str, others: Mapping[str, str]) -> str:
    return re.sub(
        "|".join(re.escape(one) for one in sorted(others, key=len, reverse=True)), lambda m: others[m[0]], text
    )


def judged_anew(folder: Path) -> Report:
    with RunFolder.open(folder) as run:
        return judge_run(run)


def junit_names(report: Report) -> list[tuple[str, str]]:
    root = Xml.fromstring(junit_xml(report))  # noqa: S314 - our own text
    return [(str(case.get("classname")), str(case.get("name"))) for case in root.iter("testcase")]


def allure_results(report: Report, folder: Path) -> list[dict[str, Any]]:
    write_allure(folder, report)
    return [json.loads(path.read_text()) for path in folder.glob("*-result.json")]


def identity(result: Mapping[str, Any]) -> str:
    """What Allure 3 follows a test by: @allurereport/core 3.18.0, store/convert.js, restated.

    The test case is md5 of testCaseId (that of a label ALLURE_ID would come first, fullName last); after the dot, md5
    of the parameters that are not excluded, as `name:value` in order of the names.
    """
    kept = sorted((p["name"], p["value"]) for p in result["parameters"] if not p.get("excluded"))
    words = ",".join(f"{name}:{value}" for name, value in kept)
    case = result["testCaseId"] or result["fullName"]
    return f"{md5(case.encode()).hexdigest()}.{md5(words.encode()).hexdigest()}"  # noqa: S324 - Allure's


def test_f1_the_chosen_histories_have_every_checker() -> None:
    chosen = [json.loads((path / "expected.json").read_text()) for path in covering()]
    said = {
        name for one in chosen for part in (*one.get("checkers", {}).values(), one.get("must", {})) for name in part
    }
    assert said >= set(CHECKERS)


@pytest.mark.parametrize("case", covering(), ids=lambda path: path.name)
def test_f1_two_releases_have_equal_names(case: Path, tmp_path: Path) -> None:
    before = judged(case)
    after = judged_anew(renamed(case, tmp_path / "renamed"))
    assert after.plan.run_id != before.plan.run_id
    assert [v.result for v in after.verdicts] == [v.result for v in before.verdicts]
    names = junit_names(before)
    assert junit_names(after) == names
    assert len(set(names)) == len(names)
    ids = [sorted(map(identity, allure_results(r, tmp_path / w))) for r, w in ((before, "one"), (after, "two"))]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(before.verdicts)
    told = " ".join(f"{suite} {name}" for suite, name in names)
    plan = before.plan
    for word in (plan.run_id, plan.old_sha, plan.new_sha, plan.target.app.base_url):
        assert not word or word not in told


@pytest.mark.parametrize("checker", [*CHECKERS, "harness", "one-of-another-version"])
@pytest.mark.parametrize("subject", ["Version/{}", "http://127.0.0.1:{}", "Pod/shop/shop-{}", "Ingress", "rollproof"])
def test_f1_no_subject_of_any_checker_changes_its_name(report: Report, checker: str, subject: str) -> None:
    def names(word: str) -> list[str]:
        verdict = Verdict(checker, subject.format(word), Result.FAIL, "why", "drift")
        return [case.name for case in cases(replace(report, verdicts=(verdict,)))]

    assert names("1a2b3c4") == names("5d6e7f8") == [checker]


@pytest.mark.parametrize(
    ("checker", "kind"),
    [
        ("drift", "Drift"), ("fault", "Fault"), ("meanwhile", "Drift"), ("jobs", "Job"),
        ("pipeline", "Pipeline"), ("posture", "Check"), ("secrets", "Secrets"),
    ],
)  # fmt: skip
def test_f1_a_trial_and_a_fault_have_names_of_their_own(report: Report, checker: str, kind: str) -> None:
    said = [Verdict(checker, subject, Result.PASS, "", "drift") for subject in (f"{kind}/one", f"{kind}/two", kind)]
    names = [case.name for case in cases(replace(report, verdicts=tuple(said)))]
    assert names == [f"{checker} one", f"{checker} two", checker]


def test_f1_no_two_verdicts_of_a_stored_drill_share_a_name() -> None:
    """History takes two of one name for two nights, and a number behind the name is another check's when one is left
    out."""
    for path in sorted(CORPUS.glob("*/*/plan.json")):
        verdicts = judged(path.parent).verdicts
        names = Counter((one.drill, stable_name(one)) for one in verdicts if one.checker != "harness")
        assert [name for name, count in names.items() if count > 1] == [], path


def test_f1_a_check_keeps_its_name_when_it_ends_otherwise(report: Report) -> None:
    """A checker that crashed, or saw the clock step, says so of another subject; it is the same check."""
    said = [Verdict("watches", subject, Result.PASS, "", "drift") for subject in ("Watch", "Clock", "rollproof")]
    names = [case.name for verdict in said for case in cases(replace(report, verdicts=(verdict,)))]
    assert set(names) == {"watches"}


def test_f1_two_verdicts_of_one_name_are_no_retry_of_each_other(report: Report) -> None:
    twice = tuple(Verdict("harness", "drift", Result.INCONCLUSIVE, why, "drift") for why in ("a", "b"))
    assert [case.name for case in cases(replace(report, verdicts=twice))] == ["harness", "harness (2)"]


def test_f2_one_target_keeps_its_history_and_two_share_none(report: Report, tmp_path: Path) -> None:
    def ids(name: str, **plan: Any) -> dict[str, str]:
        target = replace(report.plan.target, name=name)
        seen = replace(report, plan=replace(report.plan, target=target, **plan))
        return {one["fullName"]: identity(one) for one in allure_results(seen, tmp_path / f"{name}{len(plan)}")}

    lab = ids("lab")
    assert ids("lab", run_id="later", new_sha="fedcba9") == lab
    assert len(set(lab.values())) == len(report.verdicts)
    assert not set(ids("staging").values()) & set(lab.values())


def test_f2_our_history_id_is_the_one_that_allure_3_makes(report: Report, tmp_path: Path) -> None:
    for result in allure_results(report, tmp_path / "allure"):
        assert result["historyId"] == identity(result)
        assert [p["name"] for p in result["parameters"] if not p.get("excluded")] == ["target"]


def test_f2_two_targets_of_one_ci_job_share_no_junit_class(report: Report) -> None:
    """GitLab and EnricoMi merge the files of a job: a class and a name are all that they tell cases apart by."""
    staging = replace(report, plan=replace(report.plan, target=replace(report.plan.target, name="staging")))
    assert not set(junit_names(report)) & set(junit_names(staging))
