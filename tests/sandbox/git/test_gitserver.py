"""The git server: who may read, who may push, and what git itself refuses; and the harness's own client with it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollproof.clients.repo import Commit, EnvRepo, PushRefusedError
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import InputError
from rollproof_sandbox.gitserver import GitServer

USER, PASSWORD = "pipeline", "s3cret:with colon"
OVERLAY = "images:\n  - name: registry.local/shop\n    newTag: 5f1c0de\n"


def git(*words: str, at: Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "credential.helper="]
    done = subprocess.run(["git", *names, *words], cwd=at, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == ok, done.stderr
    return done


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    folder, work = tmp_path / "repos", tmp_path / "seed"
    overlay = work / "overlays" / "dev"
    overlay.mkdir(parents=True)
    folder.mkdir()
    git("init", "-q", "--bare", "-b", "main", "env.git", at=folder)
    (overlay / "kustomization.yaml").write_text(OVERLAY)
    git("init", "-q", "-b", "main", at=work)
    git("add", ".", at=work)
    git("commit", "-q", "-m", "first", at=work)
    git("push", "-q", str(folder / "env.git"), "main", at=work)
    running = GitServer(folder, 0, USER, PASSWORD)
    running.start()
    yield running
    running.stop()


def with_password(server: GitServer, password: str = PASSWORD) -> str:
    return server.url("env.git").replace("://", f"://{USER}:{password.replace(':', '%3A').replace(' ', '%20')}@")


@pytest.fixture
def clone(server: GitServer, tmp_path: Path) -> Path:
    git("clone", "-q", server.url("env.git"), "clone", at=tmp_path)
    return tmp_path / "clone"


def commit(clone: Path, name: str, text: str = "x") -> None:
    (clone / name).write_text(text)
    git("add", ".", at=clone)
    git("commit", "-q", "-m", name, at=clone)


def head_of(server: GitServer) -> str:
    return git("rev-parse", "main", at=server.folder / "env.git").stdout.strip()


def test_everybody_may_read(clone: Path) -> None:
    assert (clone / "overlays" / "dev" / "kustomization.yaml").read_text() == OVERLAY


def test_who_pushes_must_say_the_password(server: GitServer, clone: Path) -> None:
    before = head_of(server)
    commit(clone, "one")
    assert "could not read Username" in git("push", "origin", "main", at=clone, ok=False).stderr
    wrong = git("push", with_password(server, "wrong"), "main", at=clone, ok=False)
    assert "Authentication failed" in wrong.stderr
    assert head_of(server) == before
    git("push", with_password(server), "main", at=clone)
    assert head_of(server) == git("rev-parse", "HEAD", at=clone).stdout.strip()


def test_git_itself_refuses_what_is_no_fast_forward(server: GitServer, clone: Path, tmp_path: Path) -> None:
    git("clone", "-q", server.url("env.git"), "other", at=tmp_path)
    commit(tmp_path / "other", "two")
    git("push", with_password(server), "main", at=tmp_path / "other")
    commit(clone, "one")
    assert "fetch first" in git("push", with_password(server), "main", at=clone, ok=False).stderr


def test_a_big_push_comes_in_chunks(server: GitServer, clone: Path) -> None:
    (clone / "big").write_bytes(os.urandom(3 << 20))
    commit(clone, "beside")
    git("push", with_password(server), "main", at=clone)
    assert head_of(server) == git("rev-parse", "HEAD", at=clone).stdout.strip()


def test_the_harness_deploys_and_reverts_over_it(server: GitServer) -> None:
    target = EnvRepoTarget(
        url=server.url("env.git"), overlay="overlays/dev", image="registry.local/shop", username_env="U",
        password_env="P",
    )  # fmt: skip
    with EnvRepo(target, {"U": USER, "P": PASSWORD}) as repo:
        repo.may_push()

        def deploy() -> Commit:
            return repo.set_tag("b7a2e11", expected="5f1c0de", message="m")

        made = repo.push(deploy, deploy())
        assert (repo.head(), repo.tag()) == (made.revision, "b7a2e11")
        repo.push(lambda: repo.revert(made.revision, message="r"), repo.revert(made.revision, message="r"))
        assert repo.tag() == "5f1c0de"
    with EnvRepo(target, {"U": USER, "P": "wrong"}) as repo, pytest.raises(Exception, match="Authentication failed"):
        repo.may_push()


def test_a_push_without_a_password_is_refused_to_the_harness(server: GitServer) -> None:
    target = EnvRepoTarget(url=server.url("env.git"), overlay="overlays/dev", image="registry.local/shop")
    with EnvRepo(target, {}) as repo:
        assert repo.tag() == "5f1c0de"
        with pytest.raises(PushRefusedError):
            repo.may_push()


def test_two_pushes_at_once_one_wins(server: GitServer, tmp_path: Path) -> None:
    clones = [tmp_path / name for name in ("one", "two", "three")]
    for clone in clones:
        git("clone", "-q", server.url("env.git"), clone.name, at=tmp_path)
        commit(clone, clone.name)
    codes = []

    def push(clone: Path) -> None:
        words = ["git", "push", with_password(server), "main"]
        codes.append(subprocess.run(words, cwd=clone, capture_output=True, check=False).returncode)

    pushing = [threading.Thread(target=push, args=(clone,)) for clone in clones]
    for thread in pushing:
        thread.start()
    for thread in pushing:
        thread.join()
    assert sorted(codes) == [0, 1, 1]


@pytest.mark.parametrize("path", ["/nope.git/info/refs?service=git-upload-pack", "/../../etc/passwd", "/"])
def test_what_is_not_there_is_refused(server: GitServer, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}")
    caught.value.close()
    assert caught.value.code >= 400


def test_a_port_that_is_taken_is_said(server: GitServer) -> None:
    with pytest.raises(InputError, match=str(server.port)):
        GitServer(server.folder, server.port, USER, PASSWORD)


def test_after_stop_nothing_answers(server: GitServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as open_before:
        open_before.settimeout(10)
        open_before.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert open_before.recv(1)
        server.stop()
        while open_before.recv(65_536):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
