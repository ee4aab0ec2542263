"""The dashboard by Grafana's own types (grafana-foundation-sdk, made from its schema): nothing unknown or missing.

It cannot say whether a word is one of a list (`"mode": "multi"`), and it draws nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.readers.tools import DASHBOARD, go_program, run

TEXT = (Path(__file__).resolve().parents[2] / "deploy/grafana/rollproof-dashboard.json").read_text()


def test_grafana_understands_all_of_the_dashboard() -> None:
    panels = json.loads(TEXT)["panels"]
    queries = sum(len(panel["targets"]) for panel in panels)
    assert run(go_program(DASHBOARD), stdin=TEXT) == (0, f"{len(panels)} panels, {queries} queries\n")


@pytest.mark.parametrize(("right", "wrong", "reason"), [
    ('"expr"', '"exprr"', "panels[0].targets[0].Dataquery: unexpected field 'exprr'"),
    ('"drawStyle"', '"drawStile"', "unexpected field 'drawStile'"),
    ('"mappings"', '"mapings"', "panels[0].fieldConfig.defaults.mapings: unexpected field"),
    ('"schemaVersion": 39', '"schemaVersion": "39"', "schemaVersion: json: cannot unmarshal string"),
    ('"w": 24', '"w": 25', "panels[0].Panel.gridPos.w: must be <= 24"),
    ('"colorMode": "none",', "", "panels[4].options.colorMode: required field is missing"),
    ('"type": "table"', '"type": "tabel"', 'panels[3].type: "tabel" is not known here'),
    ('"type": "prometheus"', '"type": "loki"', "is not a query of Prometheus"),
])  # fmt: skip
def test_a_mistake_in_it_is_found(right: str, wrong: str, reason: str) -> None:
    assert right in TEXT
    code, said = run(go_program(DASHBOARD), stdin=TEXT.replace(right, wrong))
    assert code == 1
    assert reason in said
