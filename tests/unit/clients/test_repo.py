"""EnvRepo on real git: a bare repository in a folder, and a server that only knows how to refuse."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from envserver import IMAGE, OVERLAY, Server, git, release
from served import served

from rollproof.clients.repo import Commit, EnvRepo, GitError, OtherTagError, PushRefusedError
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import InputError

pytestmark = pytest.mark.processes


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


@pytest.fixture
def repo(server: Server) -> Iterator[EnvRepo]:
    with EnvRepo(server.target(), {}) as opened:
        yield opened


def deployed_by_somebody(server: Server, sha: str = "ccccccc") -> str:
    return server.commit(re.sub(r"\w{7}  # set", f"{sha}  # set", server.text()))


def test_a_release_changes_one_value_and_keeps_all_else(server: Server, repo: EnvRepo) -> None:
    before = repo.head()
    pushed = release(repo)
    assert server.text() == OVERLAY.replace("aaaaaaa  # set", "bbbbbbb  # set")
    assert (pushed.parent, pushed.line, pushed.attempts) == (before, "newTag: bbbbbbb  # set by CI", 1)
    assert pushed.revision == repo.head() == git(server.bare, "rev-parse", "main")
    assert repo.tag() == "bbbbbbb"


@pytest.mark.parametrize(
    ("before", "sha", "after"),
    [
        ('newTag: "abc"', "bbbbbbb", 'newTag: "bbbbbbb"'),
        ("newTag: 'abc' # why", "bbbbbbb", "newTag: 'bbbbbbb' # why"),
        ("newTag: e", "bbbbbbb", "newTag: bbbbbbb"),  # the value's letter is in the key too
        ("newTag: abc", "1234567", 'newTag: "1234567"'),  # a number to YAML, an error to kustomize
        ("newTag: abc", "12e4567", 'newTag: "12e4567"'),
        ("newTag: abc", "0b10110", 'newTag: "0b10110"'),
        ("newTag: abc\r", "bbbbbbb", "newTag: bbbbbbb\r"),
    ],
)
def test_values_of_every_style(tmp_path: Path, before: str, sha: str, after: str) -> None:
    text = f"images:\n- name: {IMAGE}\n  {before}\n"
    server = Server(tmp_path / "styles", text)
    with EnvRepo(server.target(), {}) as repo:
        release(repo, sha, expected=repo.tag())
    assert server.text() == text.replace(before, after)


def test_flow_style_is_changed_in_place(tmp_path: Path) -> None:
    server = Server(tmp_path / "flow", f"images: [{{name: {IMAGE}, newTag: abc}}, {{name: x, newTag: abc}}]\n")
    with EnvRepo(server.target(), {}) as repo:
        release(repo, expected="abc")
    assert server.text() == f"images: [{{name: {IMAGE}, newTag: bbbbbbb}}, {{name: x, newTag: abc}}]\n"


def test_an_anchor_is_refused_with_the_line(tmp_path: Path) -> None:
    server = Server(tmp_path / "anchor", f"images:\n- name: {IMAGE}\n  newTag: &tag abc\n")
    with EnvRepo(server.target(), {}) as repo, pytest.raises(InputError, match=r"cannot be changed.*&tag abc"):
        repo.set_tag("bbbbbbb", expected="abc", message="")


def test_the_same_tag_again_is_refused(repo: EnvRepo) -> None:
    with pytest.raises(InputError, match="has aaaaaaa already"):
        repo.set_tag("aaaaaaa", expected="aaaaaaa", message="")


def test_a_race_is_run_again_on_top_of_the_other_commit(server: Server, repo: EnvRepo) -> None:
    made = repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")
    other = server.commit("hello\n", "README.md")
    pushed = repo.push(lambda: repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release"), made)
    assert (pushed.attempts, pushed.parent) == (2, other)
    assert repo.is_ancestor(other, pushed.revision)
    assert server.text() == OVERLAY.replace("aaaaaaa  # set", "bbbbbbb  # set")


def test_a_race_that_is_always_lost_ends_with_an_error_and_never_forces(server: Server, repo: EnvRepo) -> None:
    calls: list[str] = []

    def make() -> Commit:
        made = repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")
        calls.append(server.commit(f"{len(calls)}\n", "README.md"))
        return made

    with pytest.raises(GitError, match="somebody else pushed"):
        repo.push(make, make())
    assert git(server.bare, "rev-parse", "main") == calls[-1]
    assert len(calls) == 5


def test_a_tag_that_is_another_one_already_is_not_replaced(server: Server, repo: EnvRepo) -> None:
    theirs = deployed_by_somebody(server)
    with pytest.raises(
        OtherTagError, match=f"set the tag to ccccccc meanwhile, by commit {theirs[:7]} by dev"
    ) as caught:
        repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")
    assert caught.value.found == "ccccccc"


@pytest.mark.parametrize("theirs", ["ccccccc", "bbbbbbb"])
def test_a_race_with_another_deploy_is_lost_and_theirs_stays(server: Server, repo: EnvRepo, theirs: str) -> None:
    made = repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")
    head = deployed_by_somebody(server, theirs)
    with pytest.raises(OtherTagError, match=f"somebody else set the tag to {theirs}"):
        repo.push(lambda: repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release"), made)
    assert git(server.bare, "rev-parse", "main") == head


def test_a_push_that_was_accepted_unheard_is_found_under_the_commits_that_came_after(
    server: Server, repo: EnvRepo
) -> None:
    def make() -> Commit:
        return repo.set_tag("bbbbbbb", expected="aaaaaaa", message="release")

    made = make()
    server.commit("hello\n", "README.md")
    pushed = repo.push(make, made)  # made anew on top of theirs; now as if the server's answer had been lost
    deployed_by_somebody(server)
    again = repo.push(make, made)
    assert again.revision == pushed.revision != made.revision
    assert server.text() == OVERLAY.replace("aaaaaaa  # set", "ccccccc  # set")


def test_a_hook_that_declines_is_a_refusal_and_not_tried_again(server: Server, repo: EnvRepo) -> None:
    hook = server.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho x >> count\necho 'freeze until Monday' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRefusedError, match="freeze until Monday"):
        release(repo)
    assert (server.bare / "count").read_text().count("x") == 1


def test_revert_restores_the_line_in_a_new_commit(server: Server, repo: EnvRepo) -> None:
    deployed = release(repo)
    server.commit("hello\n", "README.md")

    def make() -> Commit:
        return repo.revert(deployed.revision, message="back")

    reverted = repo.push(make, make())
    assert server.text() == OVERLAY
    assert reverted.forward is False
    assert f"This reverts commit {deployed.revision}" in git(server.bare, "log", "-1", "--format=%b", "main")


def test_a_revert_that_conflicts_becomes_a_forward_commit_of_the_tag_before(server: Server, repo: EnvRepo) -> None:
    deployed = release(repo)
    server.commit(server.text().replace("# set by CI", "# set by CI only"))

    def make() -> Commit:
        return repo.revert(deployed.revision, message="back")

    reverted = repo.push(make, make())
    assert reverted.forward is True
    assert server.text() == OVERLAY.replace("# set by CI", "# set by CI only")
    assert git(server.bare, "log", "-1", "--format=%s", "main") == "back"


@pytest.mark.parametrize("theirs", ["ccccccc", "aaaaaaa"])
def test_a_newer_deploy_is_not_reverted_with_ours(server: Server, repo: EnvRepo, theirs: str) -> None:
    deployed = release(repo)
    head = deployed_by_somebody(server, theirs)
    with pytest.raises(OtherTagError, match=f"set the tag to {theirs} meanwhile.*still have been bbbbbbb"):
        repo.revert(deployed.revision, message="back")
    assert git(server.bare, "rev-parse", "main") == head


@pytest.mark.parametrize("comment", ["# set by CI", "# set by CI only"])
def test_a_revert_that_races_with_a_newer_deploy_leaves_it(server: Server, repo: EnvRepo, comment: str) -> None:
    deployed = release(repo)
    server.commit(server.text().replace("# set by CI", comment) + "# a line\n")

    def make() -> Commit:
        return repo.revert(deployed.revision, message="back")

    made = make()
    assert made.forward is (comment != "# set by CI")
    head = deployed_by_somebody(server)
    with pytest.raises(OtherTagError, match="set the tag to ccccccc"):
        repo.push(make, made)
    assert git(server.bare, "rev-parse", "main") == head


def test_who_changed_the_overlay_is_the_newest_commit_that_touched_it(server: Server, repo: EnvRepo) -> None:
    theirs = server.commit(OVERLAY.replace("aaaaaaa  # set by CI", "ccccccc  # set by CI"))
    server.commit("hello\n", "README.md")
    assert repo.tag() == "ccccccc"
    assert repo.who_changed() == f"{theirs[:7]} by dev: by somebody else"


def test_ancestors_pushed_after_the_clone_are_known(server: Server, repo: EnvRepo) -> None:
    first = repo.head()
    later = server.commit("hello\n", "README.md")
    assert repo.is_ancestor(first, later)
    assert not repo.is_ancestor(later, first)
    assert not repo.is_ancestor("0" * 40, first)


def test_may_push_leaves_nothing_behind(server: Server, repo: EnvRepo) -> None:
    repo.may_push()
    assert server.heads() == "refs/heads/main"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"overlay": "overlays/nope"}, InputError, "overlays/nope has no kustomization.yaml"),
        ({"image": "ghcr.io/shop/nope"}, InputError, "no image 'ghcr.io/shop/nope'.*ghcr.io/shop/other"),
        ({"branch": "nope"}, InputError, "no branch 'nope'"),
        ({"url": "file:///nowhere/env.git"}, GitError, "cannot fetch branch 'main' of file:///nowhere"),
    ],
)
def test_wrong_targets_are_named(server: Server, changes: dict[str, str], error: type[Exception], said: str) -> None:
    with EnvRepo(server.target(**changes), {}) as repo, pytest.raises(error, match=said):
        repo.tag()


def test_two_kustomizations_in_a_folder_are_refused_as_kustomize_does(server: Server) -> None:
    server.commit("images: []\n", "overlays/dev/kustomization.yml")
    said = r"dev/kustomization\.yaml and overlays/dev/kustomization\.yml are both in branch 'main'"
    with EnvRepo(server.target(), {}) as repo, pytest.raises(InputError, match=said):
        repo.tag()


def test_yaml_that_is_none_is_named(tmp_path: Path) -> None:
    server = Server(tmp_path / "broken", "images: [\n")
    with EnvRepo(server.target(), {}) as repo, pytest.raises(InputError, match=r"kustomization\.yaml is not YAML"):
        repo.tag()


def test_the_clone_is_removed(server: Server) -> None:
    with EnvRepo(server.target(), {}) as repo:
        repo.head()
        folder = repo._folder
        assert folder.is_dir()
    assert not folder.exists()


class _Refusing(BaseHTTPRequestHandler):
    seen: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "")
        self.seen.append(sent)
        self.send_response(403 if sent else 401)
        if not sent:
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def refusing() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Refusing,), {"seen": seen}))
    with served(server) as url:
        yield f"{url}/env.git", seen


def test_credentials_travel_whole_and_are_in_no_error(refusing: tuple[str, list[str]]) -> None:
    url, seen = refusing
    environ: Mapping[str, str] = {"U": "robot", "P": "s3 cr\\et $HOME 'x' \"y\""}
    target = EnvRepoTarget(url=url, overlay="o", image=IMAGE, username_env="U", password_env="P")
    with EnvRepo(target, environ) as repo, pytest.raises(GitError) as caught:
        repo.head()
    assert base64.b64decode(seen[-1].removeprefix("Basic ")).decode() == f"robot:{environ['P']}"
    assert "cr\\et" not in str(caught.value)
    assert "403" in str(caught.value)


def test_a_variable_that_is_not_set_is_named(server: Server) -> None:
    with pytest.raises(InputError, match="GIT_PASSWORD_X, which is not set"):
        EnvRepo(server.target(password_env="GIT_PASSWORD_X"), {})
