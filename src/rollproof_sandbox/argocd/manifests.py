"""Manifests: the objects that git declares at a revision, as from Argo CD's repo-server, with its two caches.

A commit is rendered once; the branch is resolved again only when that is forced or the cached result is too old.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.argocd.agenda import Clock
from rollproof_sandbox.argocd.compare import with_tracking
from rollproof_sandbox.argocd.render import RenderError, render
from rollproof_sandbox.argocd.repository import Repository
from rollproof_sandbox.git import GitFailedError

__all__ = ["LoadError", "Manifests"]

_FAILED = (
    "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = "
)


class LoadError(Exception):
    """The target state cannot be loaded, in Argo CD's words."""


class Manifests:
    """The manifests of one repository. `refs_s`: how long a resolved branch is cached."""

    def __init__(self, repository: Repository, clock: Clock, *, branch: str, refs_s: float) -> None:
        self._repository = repository
        self._clock = clock
        self._branch = branch
        self._refs_s = refs_s
        self._refs: dict[str, tuple[float, str]] = {}  # branch -> (time, commit)
        self._rendered: dict[tuple[str, str], list[Object] | RenderError] = {}
        self._instead: dict[str, str] = {}
        self._missed_after: set[str] = set()

    def resolve(self, revision: str, *, fresh: bool) -> str:
        """The commit that the revision names; `fresh`: without the cache."""
        name = self._branch if revision in ("", "HEAD") else revision
        when_s, commit = self._refs.get(name, (0.0, ""))
        if commit and not fresh and self._clock.now_s() - when_s < self._refs_s:
            return commit
        try:
            newest = self._repository.resolve(name)
            if newest == commit or commit not in self._missed_after or self._repository.resolve(f"{name}^") != commit:
                commit = newest
        except GitFailedError as error:
            raise LoadError(f"{_FAILED}{error}") from error
        self._refs[name] = self._clock.now_s(), commit
        return commit

    def targets(self, application: Mapping[str, Any], commit: str) -> list[Object]:
        """The objects of the Application's overlay at a commit, in their applied form."""
        path = str(application["spec"]["source"].get("path", "."))
        items = self._items(self._instead.get(commit, commit), path)
        name, namespace = application["metadata"]["name"], application["spec"]["destination"]["namespace"]
        return with_tracking(items, name, namespace)

    def knows(self, commit: str) -> bool:
        """Whether it was rendered before, which makes it quick."""
        return any(commit == one for one, _ in self._rendered)

    def miss_next(self) -> None:
        """Defect: the first new commit is never seen, even if forced; the one after it is."""
        self._missed_after = {commit for _, commit in self._refs.values()}

    def pretend(self, commit: str, instead: str) -> None:
        """Defect: from now on return another commit's manifests for this one, as from a corrupt cache."""
        self._instead[commit] = self._instead.get(instead, instead)

    def _items(self, commit: str, path: str) -> list[Object]:
        found = self._rendered.get((commit, path))
        if found is None:
            try:
                files = self._repository.files(commit)
            except GitFailedError as error:  # not cached: it may be temporary
                raise LoadError(f"{_FAILED}failed to checkout revision {commit}: {error}") from error
            try:
                found = render(files, path)
            except RenderError as error:
                found = error
            self._rendered[commit, path] = found
        if isinstance(found, RenderError):
            build = f"`kustomize build <path to cached source>/{path}` failed exit status 1: Error: {found}"
            raise LoadError(f"{_FAILED}Manifest generation error: {build}")
        return found
