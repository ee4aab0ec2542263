"""Gitobjects: every object of every ref of the env repo, from a private bare clone that is made for it and removed.

Bounded: what is too large for the limits is left out, and said.
"""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from rollproof.clients.git import Git, GitError
from rollproof.clients.tempfolder import make_temporary
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import InputError

__all__ = ["GitObjects", "planted_files"]

_REFSPEC = "+refs/*:refs/server/*"
_BATCH_BYTES = 2 * 1024 * 1024  # below what one answer of git may have
_FILES = ("100644", "100755")
_TEXTS = ("blob", "commit", "tag")  # a tree has names of files only, and they are read as the blobs' places


class GitObjects:
    """A clone of all refs. Use as a context manager.

    size_max_bytes, time_max_s: at most so much is read, in so long. `cut` says afterwards what was left out.
    """

    def __init__(
        self, target: EnvRepoTarget, environ: Mapping[str, str], *, size_max_bytes: int, time_max_s: float
    ) -> None:  # fmt: skip
        self._folder = make_temporary("rollproof-objects-")
        self._size_max_bytes, self._until_s = size_max_bytes, time.monotonic() + time_max_s
        self.cut = ""
        try:
            self._git = Git(target, environ, self._folder)
        except BaseException:
            self._remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def fetch(self) -> None:
        """Fetch all refs. GitError if that fails."""
        self._git.start()
        self._git.text("fetch", "-q", "--no-tags", "origin", _REFSPEC)

    def plant(self, texts: Mapping[str, bytes]) -> None:
        """Commit these files on a ref of our own, in this clone alone."""
        blobs = {
            name: self._git.text("hash-object", "-w", "--no-filters", "--stdin", stdin=text)
            for name, text in texts.items()
        }
        listed = "".join(f"100644 blob {blob}\t{name}\n" for name, blob in blobs.items())
        tree = self._git.text("mktree", stdin=listed.encode())
        commit = self._git.text("commit-tree", tree, "-F", "-", stdin=b"a canary: never pushed\n")
        self._git.text("update-ref", "refs/rollproof/canary", commit)

    def file(self, branch: str, path: str) -> str:
        """The text of a regular file of the branch's newest commit. InputError if there is none."""
        listed = self._git.text("ls-tree", "-l", "--full-tree", f"refs/server/heads/{branch}", "--", path)
        mode, _, blob, size = (listed.partition("\t")[0].split() or ["", "", "", "0"])[:4]
        if mode not in _FILES or int(size) > _BATCH_BYTES:
            raise InputError(f"branch {branch!r} of the env repo has no regular file {path}")
        return _decoded(self._git.data("cat-file", "blob", blob))

    def texts(self) -> Iterator[tuple[str, str]]:
        """(where, content) of every blob, commit and annotated tag. GitError if git fails on the way."""
        listed = self._git.text("rev-list", "--objects", "--all").splitlines()
        paths = {line[:40]: line[41:] for line in listed}
        checked = self._git.text("cat-file", "--batch-check", stdin="\n".join(paths).encode()).splitlines()
        batch: list[tuple[str, int]] = []
        read_bytes = size_bytes = 0
        for name, kind, size in (line.split(" ", 2) for line in checked):
            if kind not in _TEXTS:
                continue
            if not self._fits(name, int(size), read_bytes):
                continue
            read_bytes += int(size)
            if batch and size_bytes + int(size) > _BATCH_BYTES:
                yield from self._contents(batch, paths)
                batch, size_bytes = [], 0
            batch.append((name, int(size)))
            size_bytes += int(size)
        yield from self._contents(batch, paths)

    def _fits(self, name: str, size: int, read_bytes: int) -> bool:
        if size > _BATCH_BYTES:
            self.cut = self.cut or f"object {name[:10]} has {size:,} bytes"
        elif read_bytes + size > self._size_max_bytes:
            self.cut = self.cut or f"the objects have more than {self._size_max_bytes:,} bytes"
        elif time.monotonic() > self._until_s:
            self.cut = self.cut or "reading them took too long"
        else:
            return True
        return False

    def _contents(self, batch: Sequence[tuple[str, int]], paths: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        if not batch:
            return
        out = self._git.data("cat-file", "--batch", stdin="\n".join(name for name, _ in batch).encode())
        at = 0
        for name, size in batch:
            line_end = out.index(b"\n", at)
            head = out[at:line_end].split(b" ")
            if len(head) != 3 or head[0].decode() != name or int(head[2]) != size:
                raise GitError(f"git cat-file said {out[at:line_end][:80]!r} of object {name[:10]}")
            content = out[line_end + 1 : line_end + 1 + size]
            at = line_end + 1 + size + 1
            kind = head[1].decode()
            yield f"{kind} {name[:10]} {paths.get(name, '')}".strip(), _decoded(content)

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _decoded(content: bytes) -> str:
    """As text; what is not UTF-8 byte by byte, so that what is ASCII in it is found."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def planted_files(canary: str) -> dict[str, bytes]:
    """Files with a canary as it is and in base64, for `plant`."""
    return {
        "rollproof-canary-plain": f"password: {canary}\n".encode(),
        "rollproof-canary-base64": base64.b64encode(canary.encode()) + b"\n",
    }
