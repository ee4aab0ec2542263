"""Ownbranch: a throw-away branch of the env repo that a drill makes, rewrites and deletes. Never the team's own branch.

Each push is bound to the tip that was seen (`--force-with-lease`). Where the server refuses what is not a fast-forward,
which is a good rule, the branch is deleted and made again: to whoever follows it that is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from rollproof.clients.git import Git
from rollproof.clients.gitanswers import PushRefusedError, RaceError, check_push

__all__ = ["OwnBranch"]


@dataclass(frozen=True, slots=True)
class OwnBranch:
    """The branch `name`, in the private clone of `git`, whose remote is `url`."""

    git: Git
    url: str
    name: str

    def tip(self) -> str:
        """The revision that it is at on the server; "" if it is not there."""
        said = self.git.text("ls-remote", "-q", "origin", self._ref)
        return said.partition("\t")[0]

    def make(self, revision: str) -> None:
        """It must not be there. RaceError if it is; else as `EnvRepo.push`."""
        self._push(revision, expected="")

    def rewrite(self, revision: str, *, expected: str) -> bool:
        """Put it at another commit, whatever its history was. Whether the server took that by force, in one step.

        RaceError if it is not at `expected` any more.
        """
        try:
            self._push(revision, expected=expected)
        except (PushRefusedError, RaceError):  # it may say either; the deletion is bound to the tip as well
            self.delete(expected=expected)
            self.make(revision)
            return False
        return True

    def delete(self, *, expected: str) -> None:
        """Nothing of it stays on the server. RaceError if it is not at `expected` any more."""
        self._push("", expected=expected)

    def others(self, base: str, own: frozenset[str]) -> list[str]:
        """The subjects of its commits that `base` does not have, but those of `own`: somebody else's."""
        self.git.text("fetch", "-q", "--no-tags", "origin", f"+{self._ref}:{self._seen}")
        said = self.git.text("log", "--format=%s", self._seen, "--not", base)
        return [subject for subject in said.splitlines() if subject not in own]

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.name}"

    @property
    def _seen(self) -> str:
        return f"refs/rollproof/{self.name}"

    def _push(self, revision: str, *, expected: str) -> None:
        lease = f"--force-with-lease={self._ref}:{expected}"
        done = self.git.run("push", "--porcelain", lease, "origin", f"{revision}:{self._ref}")
        check_push(done, url=self.url, branch=self._ref, sure=False)
