"""docs/posture.md: its table is made of the checks' own data (`--update-golden` writes it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollproof.judge.checkers.posture.base import Check
from rollproof.judge.checkers.posture.table import CHECKS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "posture.md"
BEGIN, END = "<!-- the checks: made by tests/unit/house/test_posture_page.py -->", "<!-- end of the checks -->"


def rows() -> str:
    head = "| check | asks | advised | why, and its source | shown by |\n|---|---|---|---|---|"
    told = [
        f"| `{one.id}` | {one.asks} | {one.advised} | {one.why} ({one.source}) | {_shown_by(one)} |"
        for one in CHECKS.values()
    ]
    return "\n".join([head, *told])


def _shown_by(one: Check) -> str:
    return f"`{one.drill}`" if one.drill else "-"


def test_the_page_has_every_check_as_it_is(request: pytest.FixtureRequest) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n{rows()}\n{END}{after}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "--update-golden writes it"
