"""The commit that set the present tag: found in a real repository, with what it changes beside the tag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from envserver import IMAGE, OVERLAY, Server, git

from rollproof.clients.git import GitError
from rollproof.clients.repo import EnvRepo
from rollproof.clients.tagcommit import TagCommit, read_tag_commit

pytestmark = pytest.mark.processes

PATH = "overlays/dev/kustomization.yaml"


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.fixture
def repo(server: Server) -> Iterator[EnvRepo]:
    with EnvRepo(server.target(), {}) as repo:
        yield repo


def with_sha(sha: str, text: str = OVERLAY) -> str:
    return text.replace("newTag: aaaaaaa  # set", f"newTag: {sha}  # set")


def read(repo: EnvRepo) -> TagCommit:
    return read_tag_commit(repo, IMAGE)


def test_the_commit_of_the_tag_is_found_below_newer_ones(server: Server, repo: EnvRepo) -> None:
    revision = server.commit(with_sha("bbbbbbb"))
    server.commit("notes", "README.md")
    server.commit(with_sha("bbbbbbb").replace("count: 2", "count: 3"))
    found = read(repo)
    assert (found.revision, found.tag_before, found.tag) == (revision, "aaaaaaa", "bbbbbbb")
    assert (found.author, found.author_email, found.committer_email) == ("dev", "dev@example.org", "dev@example.org")
    assert (found.parents, found.others) == (1, ())
    assert found.committed_s > 1.7e9


def test_another_spelling_of_the_tag_s_own_line_is_the_tag_s(server: Server, repo: EnvRepo) -> None:
    server.commit(OVERLAY.replace("newTag: aaaaaaa  # set by CI", 'newTag: "1234567"'))
    assert read(repo).others == ()


@pytest.mark.parametrize(
    "text",
    [
        with_sha("bbbbbbb").replace("count: 2", "count: 3"),
        "\n" + with_sha("bbbbbbb"),
        with_sha("bbbbbbb").replace(f"name: {IMAGE}\n", f"name: {IMAGE}\n    newName: elsewhere/web\n"),
        with_sha("bbbbbbb").replace("newTag: aaaaaaa\n", "newTag: ccccccc\n"),
    ],
)
def test_another_line_of_the_same_file_is_seen(server: Server, repo: EnvRepo, text: str) -> None:
    server.commit(text)
    assert read(repo).others == (f"{PATH}, more than the tag",)


def test_what_else_is_on_the_tag_s_own_line_is_seen(server: Server, repo: EnvRepo) -> None:
    flow = OVERLAY.replace(f"name: {IMAGE}\n    newTag: aaaaaaa", f"{{name: {IMAGE}, newTag: aaaaaaa, newName: a}}")
    server.commit(flow)
    server.commit(flow.replace("newTag: aaaaaaa,", 'newTag: "bbbbbbb",'))
    assert read(repo).others == ()
    server.commit(flow.replace("newTag: aaaaaaa, newName: a", "newTag: ccccccc, newName: elsewhere/web"))
    assert read(repo).others == (f"{PATH}, more than the tag",)


def test_a_commit_with_a_damaged_date_is_no_traceback(server: Server, repo: EnvRepo) -> None:
    revision = server.commit(with_sha("bbbbbbb"))
    damaged = git(server.bare, "cat-file", "commit", revision).replace("> 1", "> x1").encode() + b"\n"
    made = git(server.bare, "hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=damaged)
    git(server.bare, "update-ref", "refs/heads/main", made)
    with pytest.raises(GitError, match="date"):
        read(repo)


def test_another_file_is_seen(server: Server, repo: EnvRepo) -> None:
    work = server.other
    (work / PATH).write_text(with_sha("bbbbbbb"))
    (work / "base").mkdir()
    (work / "base" / "deployment.yaml").write_text("a: 1\n")
    for words in (("add", "."), ("commit", "-q", "-m", "both"), ("push", "-q", "origin", "main")):
        git(work, *words)
    assert read(repo).others == ("base/deployment.yaml",)


def test_the_first_commit_of_a_branch_has_nothing_before_it(repo: EnvRepo) -> None:
    found = read(repo)
    assert (found.parents, found.tag_before, found.others, found.tag) == (0, "", (), "aaaaaaa")


def test_a_tag_that_a_comment_names_later_is_not_set_by_that(server: Server, repo: EnvRepo) -> None:
    server.commit(with_sha("bbbbbbb"))
    server.commit(with_sha("bbbbbbb") + "# bbbbbbb is good\n")
    with pytest.raises(GitError, match="does not set it"):
        read(repo)
