"""The command line as a user meets it: a child process, one clear message, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from story import good_release, plan
from targettoml import target_toml

from rollproof import session
from rollproof.cli import main
from rollproof.judging import judge_run, write_reports
from rollproof.runfolder import RunFolder


def rollproof(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "rollproof", *words], cwd=cwd, env={**kept, "COLUMNS": "200", **environ},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "zero-downtme"], "there is no drill 'zero-downtme'"),
        (["run", "drift", "--target", "nothing.toml"], "nothing.toml does not exist"),
        (["run", "release", "--on-fail", "explode"], "--on-fail"),
        (["run", "drift", "--on-fail", "keep"], "--on-fail is for the release drill"),
        (["run", "release", "--trial", "env"], "--trial is for the drift drill"),
        (["run", "drift", "--nonsense"], "No such option"),
        (["plan", "nothing"], "there is no drill 'nothing'"),
        (["judge", "reports/nothing"], "does not exist"),
        (["undo"], "name a run folder, or say --last"),
        (["undo", "--last"], "there is no run in reports"),
        (["lab", "sideways"], "up, down and status"),
        (["doctor", "--target", "nothing.toml"], "does not exist"),
    ],
)
def test_a_wrong_request_is_one_message_and_exit_2(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "lab.toml").write_text(TARGET)
    done = rollproof(*words, cwd=tmp_path)
    assert said in done.stdout + done.stderr
    assert done.returncode == 2


TARGET = target_toml(context="nowhere", git_url="file:///nowhere/env.git")


def test_a_target_with_mistakes_names_them_all(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(TARGET.replace('service = "web"', "servce = 5"))
    done = rollproof("run", "drift", "--target", "t.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "cluster.servce: unknown key; did you mean cluster.service?" in done.stderr
    assert "cluster.service: missing" in done.stderr


def test_production_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(f"{TARGET}production = true\n")
    for words in (("zero-downtime",), ("drift", "--trial", "image")):
        done = rollproof("run", *words, "--target", "t.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert "--i-mean-production" in done.stderr


@pytest.mark.parametrize(
    ("words", "noted"), [(("all",), True), (("drift",), False), (("all", "--i-mean-production"), False)]
)
def test_a_plan_of_production_says_that_run_needs_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
    noted: bool,
) -> None:  # fmt: skip
    path = tmp_path / "t.toml"
    path.write_text(f"{TARGET}production = true\n")
    monkeypatch.setattr(session, "preview", lambda *_: plan())
    monkeypatch.setattr(sys, "argv", ["rollproof", "plan", *words, "--target", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert ("`run` will need --i-mean-production: target 'shop' is marked" in capsys.readouterr().out) is noted


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_context_that_does_not_exist_ends_with_2_and_leaves_no_folder(tmp_path: Path, command: str) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\nkind: Config\ncontexts: []\nclusters: []\nusers: []\n")
    done = rollproof(command, "zero-downtime", "--target", "t.toml", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert "there is no context 'nowhere' in" in said
    assert done.returncode == 2
    assert not (tmp_path / "reports").exists()


def test_a_cluster_that_is_away_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    config = {
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    done = rollproof("run", "zero-downtime", "--target", "t.toml", cwd=tmp_path)
    assert "did not answer" in done.stdout + done.stderr
    assert done.returncode == 3
    assert not (tmp_path / "reports").exists()


def stored_run(folder: Path) -> Path:
    with RunFolder.create(folder / "reports" / "20260101T000000Z-zero-downtime", plan()) as run:
        run.drill = "zero-downtime"
        run.record("run", "drill", "started")
        for event in good_release().events:
            run.record(
                event.source, event.subject, event.what, outcome=event.outcome, start_s=event.start_s,
                end_s=event.end_s, data=event.data,
            )  # fmt: skip
        run.record("run", "judge", "asked", data={"checkers": ["rollout", "version"]})
        run.record("run", "drill", "finished")
        write_reports(run, judge_run(run))
        return run.path


def test_judge_needs_no_cluster_and_gives_the_same_verdicts(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    before = (path / "verdicts.json").read_text()
    (path / "report.html").unlink()
    done = rollproof("judge", str(path.relative_to(tmp_path)), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout
    assert (path / "verdicts.json").read_text() == before
    assert (path / "report.html").is_file()
    assert rollproof("judge", path.name, cwd=tmp_path).returncode == 0  # by its name alone


def test_judge_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    lines = (path / "timeline.jsonl").read_text().splitlines(keepends=True)
    (path / "timeline.jsonl").write_text("".join(lines[:-2]))
    done = rollproof("judge", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "is cut off" in done.stderr


def test_undo_with_nothing_open_ends_with_0(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    done = rollproof("undo", "--last", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was left to undo" in done.stdout
    assert RunFolder.open(path).events()[-1].what == "undo-check"


def test_help_names_every_command(tmp_path: Path) -> None:
    done = rollproof("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("run", "plan", "judge", "undo", "doctor", "lab"):
        assert command in done.stdout
