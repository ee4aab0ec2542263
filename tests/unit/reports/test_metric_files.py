"""The dashboard and the alerts: each expression is PromQL, and asks only for what `export --format prom` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rollproof.core.verdict import Result
from rollproof.reports.exports import export
from rollproof.reports.model import Report

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/rollproof-dashboard.json").read_text())
(GROUP,) = yaml.safe_load((DEPLOY / "prometheus/rollproof-alerts.yml").read_text())["groups"]
ALERTS: list[dict[str, Any]] = GROUP["rules"]
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [*(rule["expr"] for rule in ALERTS), *(one["expr"] for one in TARGETS),
               *(one["expr"] for one in DASHBOARD["annotations"]["list"])]  # fmt: skip
PLACEHOLDER = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")


@dataclass(frozen=True)
class Exported:
    """What one run's export has: the labels of each metric; `names` also has those without a sample."""

    names: frozenset[str]
    labels: Mapping[str, frozenset[str]]


@pytest.fixture(scope="module")
def exported(report: Report) -> Exported:
    text = export(report, "prom")
    labels = {
        sample.name: frozenset(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return Exported(frozenset(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)), labels)


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    """Those of the expression, with Grafana's variable for the target as a value."""
    found: list[promql_parser.VectorSelector] = []

    def keep(one: promql_parser.Expr) -> None:
        if isinstance(one, promql_parser.VectorSelector):
            found.append(one)

    promql_parser.walk(promql_parser.parse(expression.replace("$target", "lab")), keep)
    return iter(found)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_is_one_that_export_writes(exported: Exported, expression: str) -> None:
    found = list(selectors(expression))
    assert found, "an expression without a metric"
    for one in found:
        assert one.name in exported.names
        known = exported.labels.get(str(one.name))
        for matcher in one.matchers.matchers:
            assert known is None or matcher.name in known, f"{one.name} has no label {matcher.name}"
            if matcher.name == "result":
                assert set(matcher.value.split("|")) <= set(Result)


def test_every_metric_has_a_panel(exported: Exported) -> None:
    shown = {one.name for target in TARGETS for one in selectors(target["expr"])}
    assert exported.names - shown == set()


def test_a_wrong_name_would_be_found() -> None:
    (one,) = selectors('max_over_time(rollproof_no_such{target=~"$target"}[3d])')
    assert one.name == "rollproof_no_such"
    with pytest.raises(ValueError, match="parenthesis"):
        list(selectors("max(rollproof_result"))


@pytest.mark.parametrize(("alert", "undo", "result", "value"), [
    ("RollproofFailed", "clean", Result.FAIL, 1), ("RollproofFailed", "clean", Result.PASS, 0),
    ("RollproofLeftChanged", "left", Result.PASS, 0), ("RollproofLeftChanged", "clean", Result.FAIL, 1),
    ("RollproofBlind", "clean", Result.INCONCLUSIVE, 1), ("RollproofBlind", "clean", Result.FAIL, 0),
])  # fmt: skip
def test_what_an_alert_selects_has_the_value_that_it_compares(
    report: Report, alert: str, undo: str, result: Result, value: float
) -> None:
    (rule,) = [rule for rule in ALERTS if rule["alert"] == alert]
    one = next(selectors(rule["expr"]))
    asked = {matcher.name: matcher.value for matcher in one.matchers.matchers}
    text = export(replace(report, result=result, undo=undo), "prom")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [sample for sample in samples if sample.name == one.name and asked.items() <= sample.labels.items()]
    assert [sample.value for sample in found] == [value]
    parsed = promql_parser.parse(rule["expr"])
    compared = parsed.lhs if alert == "RollproofBlind" else parsed  # the other condition counts runs
    assert compared.rhs.prettify() == ("0" if alert == "RollproofLeftChanged" else "1")


def test_what_an_alert_or_a_legend_names_is_a_label_of_its_metric(exported: Exported) -> None:
    texts = [(rule["expr"], text) for rule in ALERTS for text in rule["annotations"].values()]
    texts += [(one["expr"], one["legendFormat"]) for one in TARGETS]
    for expression, text in texts:
        for label in PLACEHOLDER.findall(text):
            known = [exported.labels[str(one.name)] for one in selectors(expression) if one.name in exported.labels]
            assert all(label in labels for labels in known), f"{text}: no label {label} in {expression}"


def test_alerts_are_what_prometheus_reads() -> None:
    assert set(GROUP) == {"name", "rules"}
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[a-zA-Z_]\w*", rule["alert"])
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_the_dashboard_is_what_grafana_imports() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(DASHBOARD)))
    assert used == variables, "a variable that is not declared, or not used"
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert all(0 <= x < 24 for x, _ in cells)
    assert all(one["datasource"]["uid"] == "${datasource}" for one in [*panels, *TARGETS])
    assert "id" not in DASHBOARD, "an id belongs to one Grafana"
