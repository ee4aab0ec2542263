"""`rollproof judge` imports what its run needs, and no more: half of its time is imports. No clock here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import loaded_by, stored_run

from rollproof.judge.checkers import CHECKERS

HISTORIES = Path(__file__).resolve().parents[2] / "histories"
OF_OTHERS = (  # acting, and other runs' facts
    "allure_commons", "gevent", "httpx", "kubernetes", "locust", "mimetypes", "numpy.ma", "pluggy", "pytest", "ruamel",
    "urllib3", "websocket", "yaml", "rollproof.clients.kube", "rollproof.core.networkpolicy", "rollproof.core.pipeline",
    "rollproof.core.posture", "rollproof.faults", "rollproof.preflight", "rollproof.probes", "rollproof.run.session",
    "rollproof.target.file",
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The modules of `judge` of a run that passed: a release, its rollback, drifts."""
    run = tmp_path_factory.mktemp("reports") / "run"
    shutil.copytree(HISTORIES / "good" / "all", run)
    return loaded_by("judge", str(run))


@pytest.mark.processes
def test_no_module_of_another_run_is_imported(loaded: list[str]) -> None:
    assert not [name for name in loaded if f"{name}.".startswith(tuple(f"{one}." for one in OF_OTHERS))]
    assert not [name for name in loaded if name.startswith("rollproof.judge.diagnose.")], "there is nothing to explain"
    assert "rollproof.judge.judging" in loaded


@pytest.mark.processes
def test_only_the_checkers_that_the_run_asked_for_are_imported(loaded: list[str]) -> None:
    lines = (HISTORIES / "good" / "all" / "timeline.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    asked = {name for event in events if event["what"] == "asked" for name in event["data"]["checkers"]}
    assert {name for name in CHECKERS if f"rollproof.judge.checkers.{name}" in loaded} == {*asked, "undo"}
    assert len(asked) < len(CHECKERS) / 2


def test_a_name_from_a_run_imports_nothing_else() -> None:
    for name in ("json", "..judging", "posture.scan", "window", "", "/etc/passwd", "nothing"):
        assert CHECKERS.get(name) is None, "it is no checker"
    assert {"posture", "pipeline", "undo"} <= {*CHECKERS}
    assert len(CHECKERS) == len({*CHECKERS})


@pytest.mark.processes
def test_a_table_of_nights_needs_neither_numpy_nor_a_page(tmp_path: Path) -> None:
    found = loaded_by("history", str(stored_run(tmp_path).parent))
    assert "rollproof.reports.history" in found
    assert not {"numpy", "jinja2", "rollproof.judge.judging"} & {*found}


_COUNTED = """
import gc, sys
from rollproof.__main__ import main
begun = []
gc.callbacks.append(lambda phase, _: begun.append(phase) if phase == "start" else None)
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(len(begun), gc.get_freeze_count(), file=sys.stderr)
"""


@pytest.mark.processes
def test_nobody_looks_for_garbage_among_modules(tmp_path: Path) -> None:
    """It was a fifth of the time: 162 looks while modules were imported, and more through all of it at the end."""
    run = tmp_path / "run"
    shutil.copytree(HISTORIES / "good" / "all", run)
    command = [sys.executable, "-c", _COUNTED, "judge", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    looks, frozen = map(int, done.stderr.split())
    assert looks < 20
    assert frozen > 50_000
