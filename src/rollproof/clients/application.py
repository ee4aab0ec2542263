"""Application: does an Argo CD Application deploy what the target file says, so that a commit of ours can change it?

Pure: the object in, InputError out. What it refuses could only be waited for in vain: another folder of the repository,
several sources, a tag that the Application itself overrides.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from rollproof.clients.overlay import is_override
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.errors import InputError

__all__ = ["check_spec", "same_folder"]


def same_folder(one: str, other: str) -> bool:
    """Whether two paths inside of a repository are the same folder: "", "." and "./" are its root."""
    return _normal(one) == _normal(other)


def _normal(path: str) -> str:
    return posixpath.normpath(path.strip().strip("/") or ".")


def check_spec(target: Target, application: Mapping[str, Any], name: str) -> None:
    """InputError if the Application is not the target's, or is of a kind that no commit of ours can move."""
    whole = Outside.of(application, name, error=InputError)
    spec = whole.child("spec")
    if (project := spec.text("project")) != target.argocd.project:
        message = f"{name} belongs to project {project!r}, not to {target.argocd.project!r}"
        raise InputError(message, "argocd.project in the target file must name the Application's project")
    _check_namespace(target, whole, spec.child("destination").text("namespace"), name)
    _check_kind(spec, name)
    source = spec.child("source")
    if not spec.has("source"):
        return
    _check_place(target, source, name)
    _check_overrides(target, source, name)


def _check_namespace(target: Target, whole: Outside, namespace: str, name: str) -> None:
    """The destination's namespace is optional in Argo CD: without one each object says its own."""
    cluster = target.cluster
    if namespace and namespace != cluster.namespace:
        message = f"{name} deploys to namespace {namespace!r}, but cluster.namespace is {cluster.namespace!r}"
        raise InputError(message, "see [cluster] and [argocd] in the target file")
    if namespace:
        return
    wanted = ("Deployment", cluster.namespace, cluster.deployment)
    owned = whole.child("status").objects("resources")
    if wanted not in {(one.text("kind"), one.text("namespace"), one.text("name")) for one in owned}:
        where = f"Deployment {cluster.namespace}/{cluster.deployment}"
        message = f"{name} names no destination namespace, and {where} is not among its {len(owned)} resources"
        raise InputError(message, "see [cluster] and [argocd] in the target file")


def _check_kind(spec: Outside, name: str) -> None:
    if spec.has("sourceHydrator"):
        message = f"{name} has a sourceHydrator: Argo CD follows a branch that it writes itself"
        raise InputError(message, "rollproof follows a commit of the env repo: use an Application with one `source`")
    if spec.has("sources"):
        message = f"{name} has {len(spec.objects('sources'))} sources (spec.sources)"
        hint = "rollproof follows one revision: use an Application with one `source`, the Kustomize overlay"
        raise InputError(message, hint)
    if spec.child("source").has("chart") or spec.child("source").has("helm"):
        message = f"{name} deploys a Helm chart, and rollproof sets a tag under `images:` of a Kustomize overlay"
        raise InputError(message, "docs/limits.md says which Applications can be drilled")


def _check_place(target: Target, source: Outside, name: str) -> None:
    wanted, path = target.env_repo, source.text("path")
    if not same_folder(path, wanted.overlay):
        message = f"{name} follows {path!r}, but env_repo.overlay is {wanted.overlay!r}"
        raise InputError(message, "see [env_repo] in the target file")
    revision = source.text("targetRevision") or "HEAD"
    if revision not in {wanted.branch, "HEAD", f"refs/heads/{wanted.branch}"}:
        message = f"{name} follows revision {revision!r}, but env_repo.branch is {wanted.branch!r}"
        raise InputError(message, "see [env_repo] in the target file")


def _check_overrides(target: Target, source: Outside, name: str) -> None:
    for entry in source.child("kustomize").texts("images"):
        if is_override(entry, target.env_repo.image):
            message = f"{name} sets the image itself (spec.source.kustomize.images: {entry!r})"
            raise InputError(f"{message}, so that a tag in the overlay changes nothing", "take that override out")
