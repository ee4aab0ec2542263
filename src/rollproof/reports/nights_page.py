"""The page of `rollproof history --format html`: one file, complete without JavaScript, no network.

What is odd first, then what cannot be said and what the nights bound, then each target's grid and charts, then the same
numbers as tables. Names of runs, targets and checks come from outside: the template escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rollproof.core.nights import Night
from rollproof.reports.history import Said, rows, said
from rollproof.reports.night_charts import CHART_PX, STRIP_PX, parts
from rollproof.reports.templating import templates

__all__ = ["nights_page"]

_URGENT = (Said.ALARM, Said.ODD, Said.WORSE)


def nights_page(nights: Sequence[Night], left_out: Sequence[str]) -> str:
    """The page as text; left_out: the folders that are no nights, each with its reason."""
    found = list(said(nights))
    return (
        templates()
        .get_template("nights.html.j2")
        .render(
            nights=nights,
            urgent=[one for one in found if one.kind in _URGENT],
            others=[one for one in found if one.kind not in _URGENT],
            parts=list(parts(nights)),
            rows=rows(nights),
            left_out=left_out,
            strip_px=STRIP_PX,
            chart_px=CHART_PX,
        )
    )
