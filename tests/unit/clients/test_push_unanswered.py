"""A push that nobody answers is unknown, whatever became of it: over real git, with a server that holds its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from envserver import OVERLAY, Server, git

from rollproof.clients.repo import Commit, EnvRepo, GitError, PushUnansweredError
from rollproof.errors import UnansweredError
from rollproof_sandbox.gitserver import GitServer

pytestmark = pytest.mark.processes


class Holding(GitServer):
    """Carries a push out, before or after it has let the client wait for nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 0, "robot", "hunter2-of-the-push-tests")
        self.early, self.held = True, True
        self.let_go, self.carried_out = threading.Event(), threading.Event()

    def answer(
        self, environ: dict[str, str], body: bytes, *, trusted: bool
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        push = environ.get("REQUEST_METHOD") == "POST" and environ.get("PATH_INFO", "").endswith("git-receive-pack")
        # git tries a POST of its own first, a flush packet alone, to see whether it may
        if not push or not self.held or len(body) <= 4:
            return super().answer(environ, body, trusted=trusted)
        said = super().answer(environ, body, trusted=trusted) if self.early else None
        self.let_go.wait(30)
        said = said or super().answer(environ, body, trusted=trusted)
        self.carried_out.set()
        return said


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


@pytest.fixture
def holding(server: Server) -> Iterator[Holding]:
    running = Holding(server.bare.parent)
    running.start()
    yield running
    running.let_go.set()
    running.stop()


@pytest.fixture
def repo(server: Server, holding: Holding) -> Iterator[EnvRepo]:
    target = server.target(url=holding.url("env.git"), username_env="U", password_env="P")
    with EnvRepo(target, {"U": "robot", "P": "hunter2-of-the-push-tests"}) as opened:
        yield opened


def short(repo: EnvRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on half a second is all the patience that git is given."""
    target = repo._target
    monkeypatch.setattr(repo.git, "_target", type(target)(**{
        **{name: getattr(target, name) for name in target.__dataclass_fields__}, "timeout_s": 1.0,
    }))  # fmt: skip


@pytest.mark.parametrize("early", [True, False], ids=["carried out before", "carried out after"])
def test_b1_a_push_without_an_answer_is_unknown_and_found_when_it_has_come(
    server: Server, holding: Holding, repo: EnvRepo, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    def make() -> Commit:
        return repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")

    made = make()
    holding.early = early
    with monkeypatch.context() as patch:
        short(repo, patch)
        with pytest.raises(PushUnansweredError, match="no answer to our push") as caught:
            repo.push(make, made)
    assert isinstance(caught.value, UnansweredError)
    assert isinstance(caught.value, GitError), "so that it is tried again while there is time"
    if not early:
        assert repo.tag() == "aaaaaaa", "not there, which is not the same as never coming"
    holding.let_go.set()
    assert holding.carried_out.wait(30)
    assert repo.tag() == "bbbbbbb"
    holding.held = False
    assert repo.push(make, made).revision == made.revision == git(server.bare, "rev-parse", "main"), (
        "and not made twice"
    )
    assert server.text() == OVERLAY.replace("aaaaaaa  # set", "bbbbbbb  # set")


def test_b1_what_was_never_sent_is_no_unknown_push(server: Server) -> None:
    holding = Holding(server.bare.parent)
    holding.start()
    target = server.target(url=holding.url("env.git"))
    with EnvRepo(target, {}) as repo:
        made = repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")
        holding.stop()
        with pytest.raises(GitError, match="cannot push to") as caught:
            repo.push(lambda: made, made)
    assert not isinstance(caught.value, UnansweredError)
