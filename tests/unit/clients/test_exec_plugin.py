"""Row E8: an exec plugin that fails, waits for a person, or says nonsense is told by its own words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hostile import answers, hostile, kubeconfig_of

from rollproof.clients import kubeconfig as module
from rollproof.clients.kube import Kube
from rollproof.errors import CannotJudgeError, RollproofError

pytestmark = pytest.mark.processes

API = "client.authentication.k8s.io/v1"
GOOD = {"apiVersion": API, "kind": "ExecCredential", "status": {"token": "plugin-token"}}
SECRET = "s3cret-of-the-plugin"


def plugin(script: str, **more: object) -> dict[str, object]:
    return {"exec": {"apiVersion": API, "command": sys.executable, "args": ["-c", script], **more}}


def ask(user: dict[str, object], folder: Path) -> str:
    with hostile(answers(b'{"gitVersion": "v1"}')) as url:
        return Kube("fake", kubeconfig_of(url, folder, **user)).version()


def refusal(user: dict[str, object], folder: Path) -> RollproofError:
    with pytest.raises(CannotJudgeError) as caught:
        ask(user, folder)
    assert caught.value.exit_code == 3
    said = f"{caught.value} {caught.value.hint}"
    assert "RBAC" not in said
    assert "doctor" not in said
    assert "system:anonymous" not in said
    assert str(caught.value).isprintable()
    return caught.value


def test_a_good_plugin(tmp_path: Path) -> None:
    assert ask(plugin(f"print({json.dumps(json.dumps(GOOD))})"), tmp_path) == "v1"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit('the SSO session has expired: run `aws sso login`')", "the SSO session has expired"),
        ("import sys; print('\\x1b[31mno\\nway', file=sys.stderr); sys.exit(7)", "ended with 7; it said:"),
        ("import sys; sys.exit(3)", "it said nothing"),
        ("print('please log in')", "is cut off or damaged: no JSON"),
        ("print('[]')", "expected an object"),
        ("print('{}')", "apiVersion must be"),
        (f"print({json.dumps(json.dumps({**GOOD, 'status': {}}))})", "neither a token nor a client certificate"),
        (f"print({json.dumps(json.dumps({**GOOD, 'status': {'token': 7}}))})", "token must be a string"),
        (f"print({json.dumps(json.dumps({**GOOD, 'status': 'x'}))})", "status must be an object"),
    ],
)
def test_e8_it_fails_with_its_own_words_and_how_to_try_it(tmp_path: Path, script: str, said: str) -> None:
    error = refusal(plugin(script), tmp_path)
    assert said in str(error)


def test_e8_the_hint_is_the_command(tmp_path: Path) -> None:
    assert "run it by hand" in refusal(plugin("raise SystemExit(1)"), tmp_path).hint


def test_e8_one_that_is_not_there(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": API, "command": "no-such-plugin-here"}}
    assert "cannot be started" in str(refusal(user, tmp_path))


def test_e8_one_that_waits_for_a_browser_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLUGIN_S", 1.0)
    script = "import sys, time; print('Opening your browser', file=sys.stderr, flush=True); time.sleep(600)"
    assert "it said: Opening your browser" in str(refusal(plugin(script), tmp_path))


def test_e8_nobody_is_asked(tmp_path: Path) -> None:
    script = f"import sys; sys.stdin.read() and sys.exit(1); print({json.dumps(json.dumps(GOOD))})"
    assert ask(plugin(script), tmp_path) == "v1"


def test_e8_no_secret_is_repeated(tmp_path: Path) -> None:
    script = "import os, sys; sys.exit('denied: ' + os.environ['KEY'] + ' and ' + 'eyJ' + 'a' * 60)"
    error = refusal(plugin(script, env=[{"name": "KEY", "value": SECRET}]), tmp_path)
    assert SECRET not in f"{error}{error.hint}"
    assert "a" * 40 not in str(error)
