"""Tagcommit: the commit that set the env repo's present tag: who, when, and what else it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rollproof.clients.git import GitError
from rollproof.clients.overlay import find_entry
from rollproof.clients.repo import EnvRepo, RepoFile

__all__ = ["TagCommit", "read_tag_commit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagCommit:
    """`committed_s` is the committer's date (s since 1970); `others` are paths, or "path, more than the tag".

    The branch's first commit has no parents, and nothing before it to compare with.
    """

    revision: str
    tag: str
    tag_before: str
    committed_s: float
    author: str
    author_email: str
    committer: str
    committer_email: str
    parents: int
    others: tuple[str, ...]


def read_tag_commit(repo: EnvRepo, image: str) -> TagCommit:
    """The newest commit that set the tag of `image` that the branch has now, fetched now.

    GitError if it lies too far back, or the server cannot be asked; InputError if the overlay cannot be read.
    """
    revision = repo.who_set(tag := repo.tag())
    said = repo.git.text("show", "-s", "--no-notes", "--format=%ct%x00%an%x00%ae%x00%cn%x00%ce%x00%P", revision)
    committed, author, author_email, committer, committer_email, parents = said.split("\0")
    if not committed.isdecimal():
        raise GitError(f"the commit {revision[:10]}, which sets {tag}, has no date that git can read")
    tag_before, others = _compared(repo, revision, image) if parents else ("", ())
    if tag_before == tag:
        raise GitError(f"the newest commit that touches {tag} ({revision[:10]}) does not set it")
    return TagCommit(
        revision=revision, tag=tag, tag_before=tag_before, committed_s=float(committed), author=author,
        author_email=author_email, committer=committer, committer_email=committer_email,
        parents=len(parents.split()), others=others,
    )  # fmt: skip


def _compared(repo: EnvRepo, revision: str, image: str) -> tuple[str, tuple[str, ...]]:
    """The tag before the commit, and what else it changes."""
    before, after = repo.overlay(f"{revision}^"), repo.overlay(revision)
    tag_before = find_entry(before.path, before.text, image).tag
    return tag_before, tuple(_others(repo, revision, before, after, image))


def _others(repo: EnvRepo, revision: str, before: RepoFile, after: RepoFile, image: str) -> Iterator[str]:
    changed = repo.git.text("diff-tree", "-r", "-z", "--name-only", f"{revision}^", revision)
    for path in (one for one in changed.split("\0") if one):
        if path != after.path:
            yield path
        elif before.path != after.path or _without_tag(before, image) != _without_tag(after, image):
            yield f"{path}, more than the tag"


def _without_tag(file: RepoFile, image: str) -> tuple[int, list[str]]:
    """The number of the tag's line, and all lines; of its own, what is before the tag, and behind it no comment."""
    entry, lines = find_entry(file.path, file.text, image), file.text.split("\n")
    number, begin = file.text.count("\n", 0, entry.start), file.text.rfind("\n", 0, entry.start) + 1
    behind = file.text[entry.end : begin + len(lines[number])].partition(" #")[0].rstrip()
    lines[number] = f"{file.text[begin : entry.start]}\n{behind}"
    return number, lines
