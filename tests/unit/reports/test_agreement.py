"""Pages compare nothing: over every stored history the numbers are the verdict's, and no colour denies it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from storedruns import CASES, case_id, judged

from rollproof.core.verdict import Result, Verdict
from rollproof.reports import tables
from rollproof.reports.cluster_rows import cluster_sections
from rollproof.reports.fault_rows import fault_rows
from rollproof.reports.html import html_page
from rollproof.reports.model import Report
from rollproof.reports.timeline import axis_of
from rollproof.reports.traffic_rows import traffic

RENDERED = (
    "sandbox-image-updater",
    "sandbox-ingress-reload-drops-control",
    "self-heal-off",
    "drift",
    "all",
    "fault-not-recovered",
)
_BARS_MAX = 200


def of(report: Report, drill: str, checker: str) -> Verdict | None:
    return next((one for one in report.verdicts if (one.drill, one.checker) == (drill, checker)), None)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a16_what_a_page_shows_is_what_was_judged(case: Path) -> None:
    report = judged(case)
    for table in tables.stage_tables(report):
        verdict = of(report, table.drill, "rollback" if table.limit_s is not None else "release")
        assert verdict is None or (table.total_s, table.result) == (
            verdict.numbers.get("push_to_proof_s"), verdict.result,
        )  # fmt: skip
    for row in tables.drift_rows(report):
        verdict = next((one for one in report.verdicts if one.subject == f"Drift/{row.trial}"), None)
        assert verdict is None or (row.repair_s, row.restored_s, row.result) == (
            verdict.numbers.get("detect_and_apply_s"), verdict.numbers.get("restored_s"), verdict.result,
        )  # fmt: skip
        if verdict is not None and verdict.checker == "meanwhile":
            names = ("away_s", "healed_while_away_s", "healed_after_return_s", "limit_s")
            shown = (row.held_s, row.healed_while_s, row.healed_after_s, row.limit_s)
            assert (row.held, *shown) == (True, *(verdict.numbers.get(name) for name in names))
    for fault in fault_rows(report):
        verdict = next((one for one in report.verdicts if one.subject == f"Fault/{fault.fault}"), None)
        assert verdict is None or (fault.effect_s, fault.recovery_s, fault.limit_s, fault.result) == (
            *(verdict.numbers.get(name) for name in ("effect_s", "recovery_s", "limit_s")), verdict.result,
        )  # fmt: skip
    for drill, facts in report.drills():
        axis, said = axis_of(facts), of(report, drill, "availability")
        if axis is None:
            continue
        verdicts = {one.subject: one for one in report.verdicts if one.drill == drill}
        section, _ = traffic(facts, axis, said.intervals if said is not None else ()) or (None, {})
        bars = [bar for row in section.rows for bar in row.bars] if section is not None else []
        lanes = Counter(one.lane for one in said.intervals if one.kind == "outage") if said is not None else Counter()
        assert said is None or sum(lanes.values()) == int(said.numbers.get("outages") or 0)
        assert len([bar for bar in bars if bar.kind == "outage-bounds"]) == sum(
            min(count, _BARS_MAX) for count in lanes.values()
        )
        for drawn in cluster_sections(facts, axis, verdicts):
            for row_drawn in drawn.rows if drawn.title == "Drift" else ():
                result = verdicts[f"Drift/{row_drawn.name}"].result
                kinds = {bar.kind for bar in row_drawn.bars if bar.kind.startswith(("repair", "stayed"))}
                assert kinds <= {
                    Result.PASS: {"repair", "stayed"}, Result.FAIL: {"repair fail"},
                }.get(result, {"repair unknown"})  # fmt: skip


@pytest.mark.parametrize("case", [case for case in CASES if case.name in RENDERED], ids=lambda case: case.name)
def test_a16_a_page_is_green_about_a_limit_only_where_the_verdict_is_pass(case: Path) -> None:
    report = judged(case)
    page = html_page(report)
    stages = [one for one in report.verdicts if one.checker == "rollback"]
    assert [f'{"within" if one.result is Result.PASS else "over"}"' for one in stages] == re.findall(
        r'limit [\d.,]+ s: <b class="(within"|over")', page
    )
    trials = [one for one in report.verdicts if one.checker == "drift" and "detect_and_apply_s" in one.numbers]
    green = re.findall(r'<td class="n"><b class="within">', page)
    assert len(green) == len([one for one in trials if one.result is Result.PASS])
    judged_ones = [
        one.numbers
        for one in report.verdicts
        if one.checker in {"availability", "loss", "outage"} and "requests" in one.numbers
    ]
    if judged_ones:
        failed = sum(int(str(one["failures"])) for one in judged_ones)
        assert f"{failed:,} of {sum(int(str(one['requests'])) for one in judged_ones):,} judged ones failed" in page
