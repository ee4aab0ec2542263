"""The whole sandbox: healthy when `start` returns, complete as the contract says, and gone after `stop`."""

from __future__ import annotations

import http.client
import socket
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollproof.clients.kube import Kube
from rollproof.errors import CannotJudgeError, InputError
from rollproof.target import file as targetfile
from rollproof_sandbox import actors, command
from rollproof_sandbox import sandbox as sandbox_module
from rollproof_sandbox.api.handler import Handler
from rollproof_sandbox.argocd import Controller
from rollproof_sandbox.folder import Folder
from rollproof_sandbox.gitserver import GitServer
from rollproof_sandbox.sandbox import CancelledError, Sandbox
from rollproof_sandbox.settings import Actors as ActorSettings
from rollproof_sandbox.settings import App, ArgoCd, Ports, Settings, Workload

ANY = Ports(api=0, ingress=0, git=0)


def made(folder: Path, **settings: Any) -> Sandbox:
    return Sandbox(Settings(ports=ANY, **settings), Folder(folder))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    one = made(tmp_path_factory.mktemp("sandbox"))
    one.start()
    yield one
    one.stop()


def get(sandbox: Sandbox, path: str, host: str = "shop.sandbox") -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.ports.ingress, timeout=60)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_it_is_healthy_when_start_returns(sandbox: Sandbox) -> None:
    application = (sandbox.store.get("Application", "argocd", "shop") or {})["status"]
    assert (application["sync"]["status"], application["health"]["status"]) == ("Synced", "Healthy")
    assert application["operationState"]["phase"] == "Succeeded"
    pods = sandbox.store.list("Pod", "shop", labels={"app": "shop"})
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == ["registry.local/shop:5f1c0de"] * 2
    assert sandbox.failures() == []


def test_the_app_answers_through_the_ingress(sandbox: Sandbox) -> None:
    status, headers, body = get(sandbox, "/health")
    assert (status, headers["X-App-Version"]) == (200, "5f1c0de")
    assert b"5f1c0de" in body
    assert headers["X-Served-By"] in {pod["metadata"]["name"] for pod in sandbox.store.list("Pod", "shop")}
    assert get(sandbox, "/", host="control.sandbox")[0] == 200


def test_the_target_file_and_the_clients_fit(sandbox: Sandbox) -> None:
    target = targetfile.load(sandbox.folder.target).target
    kube = Kube(target.cluster.context, target.cluster.kubeconfig)
    assert kube.version() == "v1.37.2+sandbox"
    assert kube.get("Deployment", target.cluster.namespace, target.cluster.deployment)["status"]["readyReplicas"] == 2
    (ingress,) = kube.list("Pod", target.ingress.namespace, labels=target.ingress.selector)["items"]
    get(sandbox, "/health")
    log = kube.pod_log(target.ingress.namespace, ingress["metadata"]["name"], target.ingress.container, since_s=60)
    assert '"uri":"/health"' in log


def test_what_an_operator_would_have_put_there(sandbox: Sandbox) -> None:
    names = {item["metadata"]["name"] for item in sandbox.store.list("ConfigMap")}
    assert names == {"argocd-cm", "argocd-cmd-params-cm", "shop-config", "shop-features"}
    (node,) = sandbox.store.list("Node")
    assert node["status"]["images"][0]["names"] == ["registry.local/shop:5f1c0de"]
    (controller,) = sandbox.store.list("StatefulSet")
    assert controller["spec"]["template"]["spec"]["containers"][0]["image"] == "quay.io/argoproj/argocd:v3.6.1"
    application = sandbox.store.get("Application", "argocd", "shop") or {}
    assert application["spec"]["source"]["repoURL"] == f"http://127.0.0.1:{sandbox.ports.git}/env.git"


def test_settings_reach_the_cluster(tmp_path: Path) -> None:
    window = ArgoCd(deny_window=True, attempts=3)
    one = made(tmp_path, workload=Workload(replicas=1, prestop_s=0), argocd=window, app=App(health_version="0badbad"),
               target={"traffic": {"rate_per_s": 2}})  # fmt: skip
    one.start()
    try:
        assert len(one.store.list("Pod", "shop")) == 1
        assert get(one, "/health")[1]["X-App-Version"] == "0badbad"
        (project,) = one.store.list("AppProject")
        assert project["spec"]["syncWindows"][0]["kind"] == "deny"
        operation = (one.store.get("Application", "argocd", "shop") or {})["status"]["operationState"]["operation"]
        assert operation["sync"]["autoHealAttemptsCount"] == 3
        assert tomllib.loads(one.folder.target.read_text())["traffic"]["rate_per_s"] == 2
    finally:
        one.stop()


def test_after_the_end_nobody_listens_and_logs_are_all_that_is_left(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.start()
    one.stop()
    one.stop()  # again is nothing
    for port in (one.ports.api, one.ports.ingress, one.ports.git):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "logs"}


def test_a_start_that_is_cancelled_says_so(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.cancelled.set()
    with pytest.raises(CancelledError):
        one.start()
    one.stop()
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "logs"}


def test_a_sandbox_that_cannot_get_healthy_says_what_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_HEALTHY_S", 6.0)
    one = made(tmp_path, app=App(never_ready=True))
    with pytest.raises(CannotJudgeError, match=r"did not get healthy within 6 s: the Application is Synced and Progr"):
        one.start()
    one.stop()


@pytest.mark.parametrize("name", ["api", "ingress", "git"])
def test_a_port_that_was_taken_since_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sandbox_module, "check_ports", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        one = Sandbox(Settings(ports=replace(ANY, **{name: number})), Folder(tmp_path))
        who = {"api": "API server", "ingress": "ingress", "git": "git server"}[name]
        message = f"port {number} is not available for the sandbox's {who}: Address already in use"
        with pytest.raises(InputError, match=message) as error:
            one.start()
        one.stop()
    assert "--ports auto" in error.value.hint
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "logs"}


def test_an_ingress_that_breaks_at_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "proxy.py"
    script.write_text("import sys\nsys.exit(7)\n")
    monkeypatch.setattr(sandbox_module, "_PROXY", script)
    one = made(tmp_path / "sandbox")
    with pytest.raises(CannotJudgeError, match="the sandbox's ingress ended with 7 before it listened"):
        one.start()
    one.stop()


@pytest.mark.parametrize("name", ["repos", "kubeconfig", "logs/ingress.log", "logs/sandbox.log"])
def test_a_folder_that_cannot_be_written_after_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file where a folder must be, or a folder where a file must be, once the sandbox has looked."""
    take = Folder.take

    def take_and_block(folder: Folder) -> None:
        take(folder)
        (folder.path / name).unlink(missing_ok=True)
        (folder.path / name).touch() if name == "repos" else (folder.path / name).mkdir()

    monkeypatch.setattr(Folder, "take", take_and_block)
    one = made(tmp_path)
    with pytest.raises(
        InputError, match=rf"the sandbox's folder {tmp_path} cannot be written: .*(Is a|File exists)"
    ) as error:
        one.start()
    one.stop()
    assert "--folder DIR" in error.value.hint
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "logs"}


ASK = """
import contextlib, re, sys, urllib.error, urllib.request
from pathlib import Path
target = Path(sys.argv[1])
text = (target.parent / "kubeconfig").read_text() + target.read_text()
urls = [url + "/version" for url in re.findall(r"https?://[0-9.:]+", text)]
for url in urls:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(url, timeout=60).close()
"""


@pytest.mark.parametrize("part", ["argocd", "actors", "api", "git"])
def test_a_bug_of_any_part_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(f"in {part}")

    where: dict[str, tuple[Any, str]] = {
        "argocd": (Controller, "_collect"), "actors": (actors.Actors, "_look"), "api": (Handler, "_route"),
        "git": (GitServer, "answer"),
    }  # fmt: skip
    monkeypatch.setattr(*where[part], bug)
    settings = Settings(ports=ANY, actors=ActorSettings(names=("noop-commit",)))
    monkeypatch.setattr(command, "Settings", lambda **values: replace(settings, **values))
    with pytest.raises(CannotJudgeError, match=rf"the sandbox itself failed: ZeroDivisionError: in {part}; ") as error:
        command.run_sandbox((), tmp_path, "", 0, [sys.executable, "-c", ASK, "{target}"])
    assert str(tmp_path / "logs" / "sandbox.log") in error.value.hint
    assert "Traceback" in (tmp_path / "logs" / "sandbox.log").read_text()


def test_an_ingress_that_ends_by_itself_is_a_bug(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.start()
    assert one._ingress is not None
    one._ingress.kill()
    one._ingress.wait(60)
    one.stop()
    assert one.failures() == ["RuntimeError: the ingress ended by itself, with -9"]


def test_a_process_that_cries_is_a_bug(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.start()
    one.folder.children_log.write_text("Traceback\nKeyError: 'port'\n")
    one.stop()
    assert one.failures() == [f"a process of it broke: KeyError: 'port' ({one.folder.children_log})"]


def test_a_bug_of_the_sandbox_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "failures", lambda _: ["KeyError: 'spec'"])
    monkeypatch.setattr(command, "Settings", lambda **values: replace(Settings(), ports=ANY, **values))
    with pytest.raises(CannotJudgeError, match="the sandbox itself failed: KeyError"):
        command.run_sandbox((), tmp_path, "", 0, ["true"])
