"""F8: a request log of another minor version is read, with the same verdict; one of another major is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollproof.core.requests import LAYOUT, OPTIONAL, REQUEST_DTYPE
from rollproof.store import requestlog

HISTORIES = Path(__file__).resolve().parents[2] / "histories"
LOGS = sorted(HISTORIES.glob("*/*/requests-*.npz"))
Change = Callable[[dict[str, Any]], None]


def changed(source: Path, path: Path, change: Change) -> Path:
    with np.load(source) as packed:
        parts = {"rows": packed["rows"], "late_ns": packed["late_ns"], "meta": json.loads(str(packed["meta"]))}
    change(parts)
    np.savez(path, rows=parts["rows"], late_ns=parts["late_ns"], meta=np.array(json.dumps(parts["meta"])))
    return path


def with_columns(rows: Any, dtype: list[tuple[str, str]]) -> Any:
    other = np.zeros(len(rows), dtype=dtype)
    for name, _ in dtype:
        if name in rows.dtype.names:
            other[name] = rows[name]
    return other


def newer(parts: dict[str, Any]) -> None:
    """What a later minor version may write: more columns, in another order, wider ones, more facts and tables."""
    wider = {"version": "<u2", "k": "<i8"}
    columns = [("tls_ns", "<i8"), *((name, wider.get(name, REQUEST_DTYPE[name].str)) for name in reversed(NAMES))]
    parts["rows"] = with_columns(parts["rows"], columns)
    parts["meta"] |= {"layout": [1, 7], "regions": ["eu"]}
    parts["meta"]["engine"]["threads"] = 4


NAMES = REQUEST_DTYPE.names or ()


@pytest.mark.parametrize("source", LOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_f8_every_stored_log_is_the_same_log_with_a_new_column(source: Path, tmp_path: Path) -> None:
    """The same rows, tables and facts reach the checkers, so the verdicts are the same (`test_histories`)."""
    before, after = requestlog.read(source), requestlog.read(changed(source, tmp_path / "log.npz", newer))
    assert after.rows.dtype == REQUEST_DTYPE
    assert (after.rows == before.rows).all()
    names = (*requestlog.TABLES, "control")
    assert [getattr(after, name) for name in names] == [getattr(before, name) for name in names]
    facts = [
        {name: getattr(log.engine, name) for name in ("rate_per_s", "planned", "wall_s")} for log in (before, after)
    ]
    assert facts[0] == facts[1]


def dropped(name: str) -> Change:
    def change(parts: dict[str, Any]) -> None:
        columns = [(column, REQUEST_DTYPE[column].str) for column in NAMES if column != name]
        parts["rows"] = with_columns(parts["rows"], columns)

    return change


@pytest.mark.parametrize("name", NAMES)
def test_f8_a_missing_column_gets_its_default_if_it_may_be_missing(name: str, tmp_path: Path) -> None:
    path = changed(LOGS[0], tmp_path / "log.npz", dropped(name))
    if name in OPTIONAL:
        assert (requestlog.read(path).rows[name] == OPTIONAL[name]).all()
        return
    with pytest.raises(requestlog.OtherLayoutError, match=f"lack the columns {name}$"):
        requestlog.read(path)


def layout(value: object) -> Change:
    return lambda parts: parts["meta"].update(layout=value)


def test_f8_a_newer_major_says_so(tmp_path: Path) -> None:
    path = changed(LOGS[0], tmp_path / "log.npz", layout([LAYOUT[0] + 1, 0]))
    with pytest.raises(requestlog.OtherLayoutError, match=r"layout 2\.0 of the request log, .* reads up to 1\.x"):
        requestlog.read(path)


def column(name: str, dtype: str, value: object) -> Change:
    def change(parts: dict[str, Any]) -> None:
        columns = [(column, dtype if column == name else REQUEST_DTYPE[column].str) for column in NAMES]
        rows = with_columns(parts["rows"], [pair for pair in columns if pair[0] != name])
        parts["rows"] = np.zeros(len(rows), dtype=columns)
        for other in rows.dtype.names or ():
            parts["rows"][other] = rows[other]
        parts["rows"][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        layout("1"), layout([1]), layout([1, None]), layout([True, 0]), layout({"major": 1}),
        column("status", "<i8", 100_000), column("status", "<U3", "200"), column("send_ns", "<f8", float("nan")),
        column("outcome", "u1", 250), column("version", "<u2", 300), column("lane", "i1", -1),
        lambda parts: parts.update(late_ns=np.zeros(3)),
        lambda parts: parts.update(rows=np.zeros(3)),
        lambda parts: parts["meta"].pop("outcomes"),
        lambda parts: parts["meta"]["engine"].pop("planned"),
        lambda parts: parts.update(meta=[]),
    ],
)  # fmt: skip
def test_f8_nothing_is_made_of_what_does_not_fit(change: Change, tmp_path: Path) -> None:
    path = changed(LOGS[0], tmp_path / "log.npz", change)
    with pytest.raises((*requestlog.DAMAGED, requestlog.OtherLayoutError)):
        requestlog.read(path)


def test_f8_the_writer_says_its_layout(tmp_path: Path) -> None:
    from story import plan

    from rollproof.store.runfolder import RunFolder

    with RunFolder.create(tmp_path / "run", plan()) as run:
        run.write_requests("drift", requestlog.read(LOGS[0]))
    with np.load(tmp_path / "run" / "requests-drift.npz") as packed:
        assert json.loads(str(packed["meta"]))["layout"] == list(LAYOUT)
