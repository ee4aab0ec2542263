"""Row D5 of faults.md: a run folder that is damaged in a small way that a person can name. tests/fuzz has many more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollproof.core.factshapes import check_fact
from rollproof.errors import RunFolderError
from rollproof.judge.judging import judge_run
from rollproof.store.runfolder import RunFolder

CORPUS = Path(__file__).resolve().parents[2] / "histories"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CORPUS / "good/sandbox-sound-load", tmp_path / "run")
    return tmp_path / "run"


def change_plan(place: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        document = json.loads((folder / "plan.json").read_text())
        *path, last = place.split(".")
        inner = document
        for key in path:
            inner = inner[key]
        inner[last] = value
        (folder / "plan.json").write_text(json.dumps(document))

    return change


def change_event(source: str, what: str, **fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        events = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
        event = next(event for event in events if (event["source"], event["what"]) == (source, what))
        for name, value in fields.items():
            (event if name in event else event["data"])[name] = value
        (folder / "timeline.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))

    return change


def change_meta(**fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "requests-zero-downtime.npz"
        with np.load(path) as packed:
            parts = {name: packed[name] for name in packed.files}
        meta = json.loads(str(parts["meta"]))
        for name, value in fields.items():
            (meta if name in meta else meta["engine"])[name] = value
        np.savez_compressed(path, **{**parts, "meta": np.array(json.dumps(meta))})

    return change


def put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "text for a number": (change_plan("target.traffic.rate_per_s", "fast"), "target.traffic.rate_per_s"),
    "a number in quotes": (change_plan("target.release.proof_count", "20"), "target.release.proof_count"),
    "null for a table": (change_plan("target.app", None), "target.app"),
    "a list for a text": (change_plan("old_sha", ["a"]), "old_sha"),
    "schema in quotes": (change_plan("schema", "2"), "schema must be a whole number"),
    "nested arrays": (put("plan.json", b"[" * 10**5), "deeper than"),
    "UTF-16": (put("plan.json", "{}".encode("utf-16")), "not UTF-8"),
    "an empty plan": (put("plan.json", b""), "cut off"),
    "environment is a list": (put("environment.json", b"[]"), "expected an object"),
    "packages is a text": (put("environment.json", b'{"packages": "x"}'), "packages must be an object"),
    "kubernetes is a list": (put("environment.json", b'{"kubernetes": []}'), "kubernetes must be a string"),
    "events in quotes": (put("verdicts.json", b'{"events": "7"}'), "events must be a whole number"),
    "NaN as a time": (change_event("run", "started", start_s=float("nan")), "NaN"),
    "a text as a time": (change_event("run", "started", end_s="x"), "end_s must be a number"),
    "data is a list": (change_event("run", "started", data=[1]), "data must be an object"),
    "drill is an object": (change_event("run", "started", drill={}), "drill must be a string"),
    "lost is a text": (change_event("load", "stopped", requests="many"), "requests must be a whole number"),
    "classes is a list": (change_event("load", "self-test", classes=[1]), "classes must be an object"),
    "old pods are texts": (change_event("release", "started", old_pods=["a"]), "old_pods must be a list of objects"),
    "a clock without a reading": (change_event("run", "read", wall_s=None), "wall_s must be there"),
    "lanes is a text": (change_meta(lanes="abc"), "lanes must be a list"),
    "no outcomes": (change_meta(outcomes=[]), "points beyond the table outcomes"),
    "one clock": (change_meta(wall_s=[1.0]), "wall_s must be two numbers"),
    "planned is null": (change_meta(planned=None), "planned must be there"),
    "a negative count": (change_meta(dropped=-1), "dropped must be a number from 0 on"),
    "an unknown lane": (change_meta(open_loop=["nowhere"]), "a lane that is not among its lanes"),
}


@pytest.mark.parametrize("name", BAD)
def test_d5_a_damaged_folder_is_refused_and_says_what_is_wrong(name: str, folder: Path) -> None:
    damage, said = BAD[name]
    damage(folder)
    with pytest.raises(RunFolderError) as caught:
        judge_run(RunFolder.open(folder))
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_what_a_fact_may_hold_fits_every_stored_history() -> None:
    """All of them are read by test_histories; here: that each kind of fact in them is one that is looked at."""
    with RunFolder.open(CORPUS / "good/all") as run:
        for event in run.events():
            check_fact(event, "the corpus", error=RunFolderError)
