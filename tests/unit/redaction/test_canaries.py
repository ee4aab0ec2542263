"""C4: a secret of each kind, planted where it comes from and echoed by whom it was sent to, is in nothing of a run.

Each secret becomes known as in a real run: by the target file's variables, a kubeconfig, an exec plugin's answer, a
Secret that was read. A run that passes, one that fails and one that crashes then say every echo through every door.
tests/sandbox/world/test_canaries.py does it with a whole run.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from canaries import echoes, found_in, texts_below
from examples import DEEP
from fakeapi import FakeApi
from served import served
from story import good_release, plan
from targettoml import target_toml

from load.client import Attempt
from load.recorder import Recorder
from rollproof.clients.http import Http
from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.event import Outcome
from rollproof.core.plan import Touch
from rollproof.core.target import App
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.judge.judging import judge_run, write_reports
from rollproof.redaction import REDACTED, SECRETS
from rollproof.reports.console import LiveConsole
from rollproof.reports.output import guarded
from rollproof.run.process import write_crash_log
from rollproof.store.journal import FolderStore, Journal
from rollproof.store.runfolder import UNDO, RunFolder
from rollproof.target.file import load

GIT, GATE, AUTH = "g1t-Passw0rd+/=x", "gat3 t0ken \"with\" 'all' <signs> & %41\\n", "auth-пароль-9c1d7"
TOKEN, FILED, PLUGIN = "kc-token-Zq81.ab_cd-ef", "f1led-token-77a1b2c3", "pl-ugin-answer-5d6e7f80"
SECRET = "se-cret-of-the-cluster-1a2b"
KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAw\nggJcAgEAAoGBAK1zq\n-----END PRIVATE KEY-----\n"
)


# -- where secrets come from -------------------------------------------------------------------------------------------


def of_the_target(folder: Path) -> list[str]:
    text = target_toml().replace("[env_repo]\n", '[env_repo]\nusername_env = "U"\npassword_env = "GIT_PASSWORD"\n')
    text = text.replace("[app]\n", '[app]\nbasic_auth_env = ["U", "AUTH"]\n')
    (folder / "t.toml").write_text(text)
    load(folder / "t.toml", {"U": "shop", "GIT_PASSWORD": GIT, "AUTH": AUTH})
    return [GIT, AUTH]


def of_a_header(folder: Path) -> list[str]:
    (folder / "t.toml").write_text(target_toml().replace("[app]\n", '[app]\nheaders_env = { "X-Gate" = "GATE" }\n'))
    load(folder / "t.toml", {"GATE": GATE + "\n"})
    return [GATE]


def a_kubeconfig(folder: Path, user: dict[str, object]) -> Kube:
    (folder / "kubeconfig").write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
    }))  # fmt: skip
    return Kube("c", str(folder / "kubeconfig"))


def of_a_kubeconfig(folder: Path) -> list[str]:
    with pytest.raises(RollproofError):
        a_kubeconfig(folder, {"token": TOKEN}).version()
    return [TOKEN]


def of_a_token_file(folder: Path) -> list[str]:
    (folder / "token").write_text(f"{FILED}\n")
    with pytest.raises(RollproofError) as caught:
        a_kubeconfig(folder, {"tokenFile": "token"}).version()
    assert "did not answer" in str(caught.value), "C5: a token file ends with a line break, which is not sent"
    return [FILED]


def of_a_plugin(folder: Path) -> list[str]:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": PLUGIN}
    }  # fmt: skip
    command = {
        "apiVersion": answer["apiVersion"], "command": sys.executable,
        "args": ["-S", "-c", f"import json; print(json.dumps({answer!r}))"], "interactiveMode": "Never",
    }  # fmt: skip
    with pytest.raises(RollproofError):
        a_kubeconfig(folder, {"exec": command}).version()
    return [PLUGIN]


def of_a_secret_that_was_read(folder: Path) -> list[str]:
    api = FakeApi()
    item = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"p": base64.b64encode(SECRET.encode()).decode()}}
    api.next_answers = [("/secrets/s", 200, item)]
    with api.serve(folder) as kubeconfig:
        Kube("fake", str(kubeconfig)).request("GET", "/api/v1/namespaces/shop/secrets/s")
    return [SECRET]


KINDS = {
    "target": of_the_target, "header": of_a_header, "kubeconfig": of_a_kubeconfig, "token file": of_a_token_file,
    "exec plugin's answer": of_a_plugin, "Secret": of_a_secret_that_was_read,
}  # fmt: skip


# -- the doors ---------------------------------------------------------------------------------------------------------


def say_all(run: RunFolder, said: list[str], *, fails: bool) -> None:
    """Every echo as a fact: in its subject, in its data, in a key, deep inside."""
    run.drill = "zero-downtime"
    run.record("run", "drill", "started")
    for event in good_release().events:
        run.record(
            event.source, event.subject, event.what, outcome=event.outcome, start_s=event.start_s, end_s=event.end_s,
            data=event.data,
        )  # fmt: skip
    for text in said:
        run.record("drift", f"Drift/{text}", "void", outcome=Outcome.UNKNOWN, data={"reason": text})
        run.record("proof", "Proof/app", "database", data={"found": [{text: (text, text.encode())}], "raw": Path(text)})
    run.record("run", "judge", "asked", data={"checkers": ["rollout", "version"]})
    if fails:
        run.record("run", "drill", "error", outcome=Outcome.UNKNOWN, data={"reason": " ".join(said)})
    else:
        run.record("run", "drill", "finished")


def generators_record(folder: Path, said: list[str]) -> None:
    recorder = Recorder()
    for number, text in enumerate(said):
        attempt = Attempt(number, 1)
        attempt.served_by = text.encode()[:200]
        recorder.add(0, attempt, text[:200])
    engine = {
        "rate_per_s": 1.0, "start_ns": 1, "end_ns": 2, "planned": 1, "dispatched": 1, "unfinished": 0, "dropped": 0,
        "cpu_s": 0.1, "scheduling": "normal", "request_id_prefix": "r", "monotonic_ns": [1, 2], "wall_s": [1.0, 2.0],
        "locust_requests": 1,
    }  # fmt: skip
    meta = {"lanes": ["get"], "open_loop": ["get"], "control": "", "engine": engine}
    recorder.write(folder / "requests-zero-downtime.npz", meta)


def a_run(folder: Path, said: list[str], ending: str) -> str:
    """A run that says all that through every door; what was printed."""
    out = io.StringIO()
    console = LiveConsole(out)
    touches = tuple(Touch(drill="drift", subject="ConfigMap/shop/c", change=text, undo=text) for text in said)
    with console, RunFolder.create(folder, replace(plan(), touches=touches), listener=console.follow) as run:
        console.plan(run.plan)
        run.write_environment({"kubernetes": "v1.34.4", "said": said, **dict.fromkeys(said, "key")})
        say_all(run, said, fails=ending != "passes")
        generators_record(folder, said)
        if ending == "crashes":
            error = KeyError(" ".join(said))
            error.add_note("\n".join(said))
            write_crash_log(error, run)
            console.problem(f"rollproof itself failed: {error}", " ".join(said))
        run.drill = UNDO
        report = judge_run(run)
        if ending == "fails":
            bad = [
                Verdict("x", text, Result.FAIL, text, "zero-downtime", findings=(Finding("X", text, text),))
                for text in said
            ]
            report = replace(report, verdicts=SECRETS.value((*report.verdicts, *bad)), result=Result.FAIL, exit_code=1)
        write_reports(run, report)
        for text in said:
            console.status(text)
            console.answers([(False, text, text, text)])
        console.verdicts(report, folder=folder)
    return out.getvalue()


# Signs that escapes begin with, and letters beyond ASCII, are written otherwise behind each door; of plain words each
# comes through one ending, and in `make fuzz` through each.
ENDINGS = ["passes", "fails", "crashes"]
PLAIN = {"kubeconfig": "passes", "token file": "fails", "exec plugin's answer": "crashes", "Secret": "fails"}
CASES = [(kind, ending) for kind in KINDS for ending in ENDINGS if DEEP or PLAIN.get(kind, ending) == ending]


@pytest.mark.processes
@pytest.mark.deep
@pytest.mark.parametrize(("kind", "ending"), CASES)
def test_c4_no_canary_leaves_a_run(tmp_path: Path, kind: str, ending: str) -> None:
    secrets = KINDS[kind](tmp_path)
    said = [text for secret in secrets for text in echoes(secret)]
    printed = a_run(tmp_path / "run", said, ending)
    assert REDACTED in printed
    assert found_in([*texts_below(tmp_path / "run"), ("console", printed)], secrets) == []
    stored = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert stored["target"]["name"] == plan().target.name
    with RunFolder.open(tmp_path / "run") as again:
        assert [event.what for event in again.events()][:1] == ["started"]


# -- who echoes --------------------------------------------------------------------------------------------------------


class _Echo(BaseHTTPRequestHandler):
    """Says in its answer what it was told in the request, as a debug page does."""

    status = 200

    def do_GET(self) -> None:
        told = self.headers.get("Authorization", "") + " " + self.headers.get("X-Gate", "")
        password = base64.b64decode(told.partition(" ")[2].split(" ")[0] + "==").decode(errors="replace")
        if not told.strip() and "git" in self.path:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
        else:
            self.send_response(self.status)
        body = " ".join(echoes(password.partition(":")[2] or "nothing-to-say"))
        content = f"{told} https://{password}@host/env.git {body} {told}".encode()
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def echoing(status: int = 200) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Echo", (_Echo,), {"status": status}))
    with served(server) as url:
        yield url


def said_by(action: Callable[[], object]) -> str:
    """The error of a call, as each output would show it."""
    with pytest.raises((RollproofError, LookupError)) as caught:
        action()
    return SECRETS.text(f"{caught.value} {getattr(caught.value, 'hint', '')} {caught.value!r}")


@pytest.mark.processes
@pytest.mark.parametrize("status", [403, 500])
def test_c4_a_git_server_that_echoes_credentials(status: int) -> None:
    environ = {"U": "shop", "P": GIT}
    with echoing(status) as url:
        target = EnvRepoTarget(url=f"{url}/git/env.git", overlay="o", image="i", username_env="U", password_env="P")
        with EnvRepo(target, environ) as repo:
            said = said_by(repo.head)
    assert found_in([("error", said)], [GIT]) == []


def test_c4_an_app_that_echoes_basic_auth_cut_in_the_middle() -> None:
    SECRETS.add(pairs=[("shop", AUTH)])
    with echoing() as url:
        http = Http(App(base_url=url, basic_auth_env=("U", "P")), {"U": "shop", "P": AUTH})
        said = said_by(lambda: http.get("/health").field("/version"))
    assert "not JSON" in said
    assert found_in([("error", said)], [AUTH]) == []


def test_c4_an_api_server_that_echoes_the_token(tmp_path: Path) -> None:
    api = FakeApi()
    with api.serve(tmp_path) as kubeconfig:
        config = json.loads(kubeconfig.read_text())
        config["users"][0]["user"] = {"token": TOKEN}
        kubeconfig.write_text(json.dumps(config))
        for text in echoes(TOKEN):
            api.next_answers = [("pods", 403, {"kind": "Status", "message": text, "reason": "Forbidden"})]
            said = said_by(lambda: Kube("fake", str(kubeconfig)).list("Pod", "shop"))
            assert found_in([("error", said)], [TOKEN]) == [], text


@pytest.mark.processes
def test_c4_an_exec_plugin_that_fails_and_says_its_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said_it = f'import sys; sys.stderr.write(\'cannot renew token={PLUGIN}\\n{{"token": "{PLUGIN}"}}\'); sys.exit(1)'
    command = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-S", "-c", said_it],
        "interactiveMode": "Never", "env": [{"name": "PLUGIN_TOKEN", "value": PLUGIN}],
    }  # fmt: skip
    with guarded():
        said = said_by(a_kubeconfig(tmp_path, {"exec": command}).version)
    printed = capsys.readouterr()
    assert found_in([("error", said), ("console", printed.out + printed.err)], [PLUGIN]) == []


def test_c4_a_client_key_is_hidden_line_by_line(tmp_path: Path) -> None:
    data = base64.b64encode(KEY.encode()).decode()
    with pytest.raises(RollproofError):
        a_kubeconfig(tmp_path, {"client-key-data": data}).version()
    lines = KEY.splitlines()[1:-1]
    for text in (data, KEY, json.dumps(KEY), repr(KEY), *lines, data[40:90]):
        said = SECRETS.text(f"cannot load {text} here")
        assert REDACTED in said
        assert not any(secret in said for secret in (*lines, data[40:90]))


def test_c4_the_journal_refuses_what_it_could_only_write_in_clear(tmp_path: Path) -> None:
    SECRETS.add([SECRET])
    with RunFolder.create(tmp_path / "run", plan()) as run:
        journal = Journal(FolderStore(run.path / "undo.jsonl"), run)
        with pytest.raises(CannotJudgeError, match="holds the value of a secret"):
            journal.write("configmap", "ConfigMap/shop/c", {"data": {"before": f"password={SECRET}"}})
        assert journal.open_entries() == []
    assert found_in(texts_below(tmp_path / "run"), [SECRET]) == []


def test_c3_the_plan_stays_literal_or_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RollproofError) as caught:
        RunFolder.create(tmp_path / "run", plan(), secrets=[plan().env_repo_head])
    assert caught.value.exit_code == 2
    assert plan().env_repo_head not in str(caught.value)
    assert not (tmp_path / "run").exists()
