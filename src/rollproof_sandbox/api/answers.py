"""Answers: response bodies that are not a single object: lists, deletions, access reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rollproof_sandbox.api.kinds import Kind
from rollproof_sandbox.api.store import Object

__all__ = ["deleted_answer", "list_answer", "review_answer"]

_GIVEN_BACK = ("Pod", "Service")  # a deletion of these answers with the object, of others with a Status


def list_answer(kind: Kind, items: Sequence[Object], version: int) -> dict[str, Any]:
    """A list object. Items of built-in kinds have no `kind` and `apiVersion`."""
    if not kind.custom:
        items = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    metadata = {"resourceVersion": str(version)}
    return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def deleted_answer(kind: Kind, gone: Object) -> dict[str, Any]:
    """The response to a deletion; an object that is only marked as deleted is returned."""
    metadata = gone["metadata"]
    if kind.name in _GIVEN_BACK or "deletionTimestamp" in metadata:
        return gone
    group = {"group": kind.group} if kind.group else {}
    details = {"name": metadata["name"], **group, "kind": kind.plural, "uid": metadata["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def review_answer(review: Object) -> dict[str, Any]:
    """A SelfSubjectAccessReview: the sandbox allows everything."""
    return {
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
        "spec": review.get("spec", {}), "status": {"allowed": True},
    }  # fmt: skip
