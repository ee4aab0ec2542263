"""Created: an object that a fault makes, which belongs to its dead-man, and is deleted again if it is still as made.

`Creates` is what the faults have in common that make an object of their own, and take no pod of the app away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection
from rollproof.core.labels import MANAGED_BY, OURS
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.faults.base import Fault, Injected, LiveContext, Void
from rollproof.faults.deadman import OwnerJob, held_for_s
from rollproof.store.journal import Undone

__all__ = ["Creates", "create_owned", "delete_ours"]


class Creates(Fault):
    """Held: the object stays until the undo deletes it, or its owner's deadline."""

    held = True

    def dead_man(self, args: Mapping[str, Any], target: Target) -> OwnerJob:
        """A Job without a pod, which owns the object."""
        return OwnerJob(namespace=args["namespace"], after_s=held_for_s(target.faults))

    def blast(self, injection: Injection, target: Target) -> Blast:
        """No pod of the app, for as long as it is held."""
        return Blast(pods=0, lasts_s=super().blast(injection, target).lasts_s)


def create_owned(
    injection: Injection, live: LiveContext, api_version: str, spec: Mapping[str, Any], *, name: str = ""
) -> Injected | Void:  # fmt: skip
    """One creation of the object that the injection's args name (kind, namespace, name), owned by the dead-man Job.

    `name`: which, where the injection makes several. Void if one of that name was there before. ApiError for another
    refusal, LostAnswerError if it may have been made.
    """
    args, owner, name = injection.args, live.owner, name or injection.args["name"]
    if owner is None:
        raise RuntimeError(f"the dead-man of {injection.subject} must be there before it")
    metadata = owner.metadata(name)
    body: Object = {"apiVersion": api_version, "kind": args["kind"], "metadata": metadata, "spec": dict(spec)}
    try:
        made = live.kube.create(args["kind"], args["namespace"], body)["metadata"]
    except ApiError as error:
        if error.status == 409:
            subject = f"{args['kind']}/{args['namespace']}/{name}"
            return Void(f"{subject} was there before: an earlier run's, or somebody else's")
        raise
    return Injected({"uid": made["uid"], "resource_version": str(made["resourceVersion"])})


def delete_ours(kube: Kube, args: Mapping[str, Any], is_as_made: Callable[[Outside], bool]) -> Undone:
    """Delete the object that the args name, if it has our label and `is_as_made` says so of its spec; else it stays."""
    found = kube.find(args["kind"], args["namespace"], args["name"])
    if found is None:
        return Undone("not-needed", reason="it is not there")
    whole = Outside.of(found, f"{args['kind']} {args['name']}")
    if whole.child("metadata").table("labels").get(MANAGED_BY) != OURS:
        return Undone("left", reason=f"it has no label {MANAGED_BY}={OURS}: it is somebody else's", expected=None)
    if not is_as_made(whole.child("spec")):
        return Undone("left", reason="somebody else has changed it since", expected="as it was made", found="another")
    try:
        kube.delete(args["kind"], args["namespace"], args["name"], uid=found["metadata"]["uid"])
    except ApiError as error:
        if error.status not in (404, 409):
            raise
    return Undone("done")
