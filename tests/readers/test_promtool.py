"""Metrics, alerts and dashboard in Prometheus' own promtool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from reports.conftest import the_report

from rollproof.reports.exports import export
from tests.readers.tools import PROMTOOL, go_program, run

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rollproof-alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/rollproof-dashboard.json").read_text())


def test_promtool_has_nothing_to_say_about_the_metrics() -> None:
    promtool = go_program(PROMTOOL)
    assert run(promtool, "check", "metrics", stdin=export(the_report(), "prom")) == (0, "")
    unhelpful = export(the_report(), "prom").replace("# HELP", "# NOTE")
    code, said = run(promtool, "check", "metrics", stdin=unhelpful)
    assert (code, "no help text" in said) == (3, True)


def test_promtool_accepts_the_alerts() -> None:
    code, said = run(go_program(PROMTOOL), "check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, said
    assert "rules found" in said


def test_alerts_fire_when_they_must_and_only_then() -> None:
    code, said = run(go_program(PROMTOOL), "test", "rules", Path(__file__).with_name("alerts.test.yml"))
    assert code == 0, said


def test_every_expression_of_the_dashboard_is_one_to_prometheus(tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    expressions += [one["expr"] for one in DASHBOARD["annotations"]["list"]]
    rules = [
        {"record": f"rollproof:panel:{number}", "expr": expression.replace("$target", "lab")}
        for number, expression in enumerate(expressions)
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    code, said = run(go_program(PROMTOOL), "check", "rules", path)
    assert code == 0, said
    assert f"{len(expressions)} rules found" in said
