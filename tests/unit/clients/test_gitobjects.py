"""Every object of every ref: of branches, tags, deleted files; within limits that are said."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollproof.clients.git import GitError
from rollproof.clients.gitobjects import GitObjects, planted_files
from rollproof.clients.secretform import placeholders
from rollproof.core.target import EnvRepo
from rollproof.errors import InputError


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A repository with a file that was taken out, a branch, a note of its own ref, and an annotated tag."""
    repo = tmp_path / "env"

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=repo, check=True, capture_output=True
        )

    repo.mkdir()
    git("init", "-q", "-b", "main")
    (repo / "secret.yaml").write_text("password: was-here\n")
    (repo / "image.bin").write_bytes(b"\xff\xfe bytes-here \x00")
    git("add", ".")
    git("commit", "-qm", "first, message-here")
    git("rm", "-q", "secret.yaml")
    git("commit", "-qm", "second")
    git("checkout", "-qb", "other")
    (repo / "other.txt").write_text("branch-here")
    git("add", ".")
    git("commit", "-qm", "third")
    git("tag", "-a", "v1", "-m", "tag-here")
    git("update-ref", "refs/pull/1/head", "HEAD")
    git("checkout", "-q", "main")
    git("branch", "-qD", "other")  # the server keeps what the pull request and the tag point to
    return repo


@pytest.fixture
def objects(served: Path) -> Iterator[GitObjects]:
    with opened(served) as found:
        found.fetch()
        yield found


def opened(served: Path, *, size_max_bytes: int = 1_000_000, time_max_s: float = 60.0) -> GitObjects:
    target = EnvRepo(url=f"file://{served}", overlay="o", image="i")
    return GitObjects(target, {}, size_max_bytes=size_max_bytes, time_max_s=time_max_s)


@pytest.mark.processes
def test_everything_is_read_whatever_points_to_it(objects: GitObjects) -> None:
    found = dict(objects.texts())
    said = "\n".join(found.values())
    for here in ("was-here", "bytes-here", "message-here", "branch-here", "tag-here"):
        assert here in said
    assert [where.partition(" ")[2][11:] for where, text in found.items() if "was-here" in text] == ["secret.yaml"]
    assert objects.cut == ""


@pytest.mark.processes
def test_a_canary_is_planted_in_the_clone_alone(objects: GitObjects, served: Path) -> None:
    before = set(served.rglob("*"))
    files = planted_files("canary/1+=")
    objects.plant(files)
    found = dict(objects.texts())
    assert [text for where, text in found.items() if "rollproof-canary-plain" in where] == ["password: canary/1+=\n"]
    assert sum("rollproof-canary" in where for where in found) == len(files)
    assert set(served.rglob("*")) == before


@pytest.mark.processes
def test_what_is_beyond_the_limits_is_said(served: Path) -> None:
    with opened(served, size_max_bytes=60) as objects:
        objects.fetch()
        assert 0 < len(list(objects.texts())) < 5
        assert "more than 60 bytes" in objects.cut
    with opened(served, time_max_s=-1.0) as objects:
        objects.fetch()
        assert list(objects.texts()) == []
        assert "took too long" in objects.cut


@pytest.mark.processes
def test_the_clone_is_removed_and_a_server_that_is_away_is_said(served: Path) -> None:
    with opened(served.parent / "nowhere") as objects, pytest.raises(GitError):
        objects.fetch()
    assert not objects._folder.exists()


FORM = "kind: Secret\nmetadata: {name: s}\ndata: {A: YWJj, B: <b>}\nstringData: {C: <c>, D: 7}\n"


def test_the_placeholders_of_a_form() -> None:
    assert placeholders("f", f"kind: Other\n---\n{FORM}") == {"s/A": "abc", "s/B": "<b>", "s/C": "<c>", "s/D": "7"}


@pytest.mark.parametrize("text", ["a: [", "kind: ConfigMap\n", "", "- a\n", "kind: Secret\nstringData: {A: b}\n"])
def test_a_form_that_is_none(text: str) -> None:
    with pytest.raises(InputError):
        placeholders("base/secret.yaml", text)
