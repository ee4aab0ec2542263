"""Bad input that needs no lab: one message that says what to do next, exit 2 or 3, nothing left behind.

Commands run through `main`, as the console script does, in this process. What a real cluster, git server or app has to
say no to is in tests/kind/test_bad_input.py; tests/unit/target/test_targetfile.py has each rule of the target file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import stored_run
from forked import forked_drills
from targettoml import target_toml
from website import elsewhere

from rollproof.cli import main
from rollproof.clients.http import Answer, Http
from rollproof.core.target import App
from rollproof.errors import RollproofError
from rollproof.preflight.appchecks import check_app

TARGET = target_toml()
SECRET = "s3cret-value-9c1d"


@dataclass(frozen=True)
class Said:
    """What a user has after a command."""

    exit_code: int
    output: str

    def assert_is(self, exit_code: int, *texts: str) -> None:
        for text in texts:
            assert text in self.output
        assert self.exit_code == exit_code, self.output
        assert sum(line.startswith("error: ") for line in self.output.splitlines()) == 1, self.output
        assert "Traceback" not in self.output
        assert SECRET not in self.output


User = Callable[..., Said]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> User:
    """Types a command in a folder with a target file; a refused one leaves no run folder.

    The drills' process is forked; test_cli.py has commands that start it.
    """
    drills = SimpleNamespace(Popen=forked_drills, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr("rollproof.run.process.subprocess", drills)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    Path("targets").mkdir()
    Path("targets/lab.toml").write_text(TARGET)

    def type_in(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["rollproof", *words])
        before = sorted(tmp_path.glob("reports/*"))
        with pytest.raises(SystemExit) as ended:
            main()
        assert sorted(tmp_path.glob("reports/*")) == before
        told = capfd.readouterr()
        return Said(int(ended.value.code or 0), told.out + told.err)

    return type_in


# -- the cluster ------------------------------------------------------------------------------------------------------


def kubeconfig(server: str = "https://127.0.0.1:9", context: str = "staging") -> str:
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {"token": SECRET}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
    })  # fmt: skip


@pytest.mark.processes
@pytest.mark.parametrize("command", ["plan", "run"])
def test_no_cluster(user: User, command: str) -> None:
    Path("targets/kubeconfig").write_text(kubeconfig())
    user(command, "zero-downtime").assert_is(
        3, "the API server of context 'staging' (https://127.0.0.1:9) did not answer", "is the cluster up"
    )


def test_wrong_context(user: User) -> None:
    Path("targets/kubeconfig").write_text(kubeconfig(context="production"))
    user("plan", "drift").assert_is(2, "there is no context 'staging' in", "kubectl config get-contexts")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "targets/kubeconfig does not exist"),
        ("", "is empty"),
        ("contexts: [", "is not a kubeconfig: ParserError"),
        ("- a list", "is not a kubeconfig: TypeError"),
        ("apiVersion: v1\nkind: Config\n", "there is no context 'staging' in"),
        (kubeconfig().replace('"name": "c"', '"name": "d"'), "context 'staging' is not usable from"),
    ],
)
def test_a_kubeconfig_that_is_none(user: User, content: str | None, said: str) -> None:
    if content is not None:
        Path("targets/kubeconfig").write_text(content)
    user("plan", "drift").assert_is(2, said)


# -- the target file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("plan", "drift"), ("run", "drift"), ("doctor",)])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('service = "web"', 'servce = "web"', "cluster.servce: unknown key; did you mean cluster.service?"),
        ('context = "staging"', "context = 5", "cluster.context: a text in quotes was expected, found 5"),
        ('overlay = "overlays/dev"\n', "", "env_repo.overlay: missing, and it has no default"),
        ('name = "shop"\n', 'name = "shop\n', "is not TOML"),
        ('name = "shop"\n', 'name = "shop"\nschema = 99\n', "has schema 99"),
        (
            'namespace = "shop"\n', 'namespace = "kube-system"\n',
            "cluster.namespace: 'kube-system' is outside of fences.namespaces (shop)",
        ),
        (
            'base_url = "http://127.0.0.1:9"', 'base_url = "http://shop.example.com"',
            "app.base_url: host 'shop.example.com' is outside of fences.load_hosts",
        ),
        ('overlay = "', 'password_env = "ROLLPROOF_UNSET"\noverlay = "', "ROLLPROOF_UNSET is not set"),
        ('url = "http://127', f'url = "http://u:{SECRET}@127', "env_repo.url: holds a password"),
        ('name = "shop"\n', 'name = "shop"\nenv_file = "nothing.env"\n', "nothing.env cannot be read"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_target_file(user: User, words: tuple[str, ...], old: str, new: str, said: str) -> None:
    assert old in TARGET
    Path("targets/lab.toml").write_text(TARGET.replace(old, new, 1))
    user(*words).assert_is(2, "targets/lab.toml", said)


def test_no_target_file(user: User) -> None:
    user("run", "drift", "--target", "targets/nothing.toml").assert_is(
        2, "target file targets/nothing.toml does not exist", "there is targets/lab.toml"
    )


@pytest.mark.parametrize(("drill", "missing"), [("drift", "pytest"), ("rollback", "locust"), ("all", "locust")])
def test_a_drill_without_its_prerequisite(
    user: User, monkeypatch: pytest.MonkeyPatch, drill: str, missing: str
) -> None:
    monkeypatch.setattr("rollproof.run.process.find_spec", lambda name: None if name == missing else object())
    user("run", drill).assert_is(2, f"needs {missing}, which is not installed", "pip install")


@pytest.mark.parametrize(
    ("settings", "words", "said"),
    [
        ("production = true", ("all",), "--i-mean-production"),
        ("production = true", ("drift", "--trial", "env"), "--i-mean-production"),
        ("", ("release", "--sha", "latest"), "--sha: 'latest' names no version"),
        ('[release]\nmode = "observe"', ("zero-downtime",), "--sha <sha>"),
        ('[release]\nmode = "observe"', ("rollback", "--sha", "abc1234"), "release.mode is 'observe'"),
    ],
)
def test_a_drill_that_the_target_does_not_allow(user: User, settings: str, words: tuple[str, ...], said: str) -> None:
    Path("targets/lab.toml").write_text(f"{TARGET}{settings}\n")
    user("run", *words).assert_is(2, said)


# -- run folders ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(user: User) -> Path:  # noqa: ARG001 - it makes the folder that we are in
    """A whole run below reports/."""
    return stored_run(Path(), "rollout")


def emptied(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


def newer(run: Path) -> None:
    document = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps({**document, "schema": 99}))


def cut(name: str, share: float = 0.5) -> Callable[[Path], None]:
    def cut_off(run: Path) -> None:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: int(len(content) * share)])

    return cut_off


def without(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "gone": (shutil.rmtree, "does not exist"),
    "empty": (emptied, "is empty"),
    "newer": (newer, "was written by a newer rollproof (schema 99)"),
    "no plan": (without("plan.json"), "is no run folder: it has no plan.json"),
    "plan cut": (cut("plan.json"), "plan.json is cut off or"),
    "plan emptied": (cut("plan.json", 0), "plan.json is cut off or"),
}
FACT_DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no timeline": (without("timeline.jsonl"), "timeline.jsonl is missing"),
    "timeline emptied": (cut("timeline.jsonl", 0), "timeline.jsonl is empty"),
    "timeline cut": (cut("timeline.jsonl"), "is cut off"),
    "verdicts cut": (cut("verdicts.json"), "verdicts.json is cut off or"),
}


@pytest.mark.parametrize("damage", [*DAMAGES, *FACT_DAMAGES])
def test_judge_of_a_damaged_folder(user: User, stored: Path, damage: str) -> None:
    break_it, said = {**DAMAGES, **FACT_DAMAGES}[damage]
    break_it(stored)
    before = files(stored)
    user("judge", str(stored)).assert_is(2, said)
    assert files(stored) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_undo_of_a_damaged_folder(user: User, stored: Path, damage: str) -> None:
    break_it, said = DAMAGES[damage]
    break_it(stored)
    before = files(stored)
    user("undo", str(stored)).assert_is(2, said)
    assert files(stored) == before


def test_undo_of_a_journal_that_cannot_be_read(user: User, stored: Path) -> None:
    """Not exit 0: what cannot be read may still have to be undone."""
    (stored / "undo.jsonl").write_text("not JSON\n{}\n")
    before = (stored / "undo.jsonl").read_bytes()
    user("undo", str(stored)).assert_is(4, "undo.jsonl line 1 cannot be read", "look at undo.jsonl by hand")
    assert (stored / "undo.jsonl").read_bytes() == before


def test_a_file_is_no_run_folder(user: User) -> None:
    for command in ("judge", "undo"):
        user(command, "targets/lab.toml").assert_is(2, "targets/lab.toml")


def test_any_folder_is_no_run_folder(user: User) -> None:
    user("judge", "targets").assert_is(2, "targets is no run folder")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- the app's address ------------------------------------------------------------------------------------------------


def asked(base_url: str) -> RollproofError:
    app = App(base_url=base_url)
    with pytest.raises(RollproofError) as caught:
        check_app(app, Http(app, {}), "abc1234")
    return caught.value


def test_a_redirect() -> None:
    with elsewhere() as base_url:
        error = asked(base_url)
    assert f"{base_url}/health redirects to https://shop.example.com/health" in str(error)
    assert "name the final address" in error.hint
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("sha", "said"),
    [
        ("latest", "the overlay's tag is 'latest', which names no version; /health says abc1234"),
        ("0badbad", "http://shop/health says version abc1234, but the Deployment has 0badbad"),
    ],
)
def test_an_overlay_of_another_version_or_of_none(sha: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Http, "get", lambda _self, _path: Answer(200, b'{"version": "abc1234"}'))
    app = App(base_url="http://shop", version_pointer="/version")
    with pytest.raises(RollproofError, match=re.escape(said)) as caught:
        check_app(app, Http(app, {}), sha)
    assert caught.value.exit_code == 3


def test_tls_to_a_plain_port() -> None:
    with elsewhere() as base_url:
        error = asked(base_url.replace("http:", "https:"))
    assert "/health: connect.tls" in str(error)
    assert "app.ca_file" in error.hint
    assert error.exit_code == 2


@pytest.mark.processes
def test_tls_of_an_unknown_authority(tmp_path: Path) -> None:
    path, certificate = tmp_path / "server.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + certificate.read_text())
    with elsewhere(path) as base_url:
        error = asked(base_url)
    assert "self-signed certificate" in str(error)
    assert "app.ca_file" in error.hint
    assert error.exit_code == 2


def test_an_address_where_nobody_listens() -> None:
    error = asked("http://127.0.0.1:9")
    assert "http://127.0.0.1:9/health did not answer: connect.refused" in str(error)
    assert error.exit_code == 3


# -- names that nobody can look at ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "x/" * 3000], ids=["name", "path", "folders"])
@pytest.mark.parametrize(
    "words", [("judge",), ("undo",), ("export", "--format", "junit"), ("history",), ("compare", "reports")]
)
def test_a_run_folder_that_cannot_be_looked_at(user: User, words: tuple[str, ...], name: str) -> None:
    """As one in a folder that may not be entered: the system refuses to say whether there is one."""
    user(*words, name).assert_is(2, words[1] if words[0] == "compare" else name[:3])


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("plan", "drift"), 2, "kubeconfig"),
        (("run", "drift"), 2, "kubeconfig"),
        (("undo", "--last"), 2, "there is no run in xxx"),
    ],
)
def test_a_reports_folder_that_cannot_be_looked_at(
    user: User, words: tuple[str, ...], exit_code: int, said: str
) -> None:
    user(*words, "--reports", "x" * 300).assert_is(exit_code, said)


@pytest.mark.parametrize("name", ["targets/lab.toml", "nothing", "targets"])
def test_what_has_no_verdicts_cannot_be_compared(user: User, name: str) -> None:
    user("compare", name, name).assert_is(2, f"{name} has no verdicts: it is no run folder", "rollproof judge")
