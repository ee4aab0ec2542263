"""Errors: the refusals of the API server, word for word as the real one has them.

Every refusal is a StoreError with the HTTP status and reason of a Status body. Must not know HTTP or the store.
"""

from __future__ import annotations

import json
from typing import Any

from rollproof_sandbox.api.kinds import KINDS, Kind
from rollproof_sandbox.api.places import Place

__all__ = [
    "StoreError", "already_exists", "anonymous", "bad_dry_run", "bad_request", "bad_version", "conflict", "expired",
    "invalid", "is_known_group", "no_method", "no_resource", "not_found", "other_object", "other_uid",
    "patched_wrong_type", "unprocessable", "wrong_kind", "wrong_name", "wrong_namespace", "wrong_type",
]  # fmt: skip


class StoreError(Exception):
    """A refusal: becomes a Status body. `details` describes the object in it."""

    def __init__(self, status: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}

    def body(self) -> dict[str, Any]:
        """The Status object."""
        details = {"details": self.details} if self.details else {}
        reason = {"reason": self.reason} if self.reason else {}
        return {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
            **reason, **details, "code": self.status,
        }  # fmt: skip


def _details(kind: Kind, name: str) -> dict[str, Any]:
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, **group, "kind": kind.plural}


def not_found(kind: Kind, name: str) -> StoreError:
    """The object does not exist."""
    return StoreError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> StoreError:
    """The name is in use."""
    return StoreError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> StoreError:
    """The object was changed after the caller has read it."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StoreError(409, "Conflict", message, _details(kind, name))


def other_object(kind: Kind, name: str, why: str) -> StoreError:
    """A deletion whose precondition names another object. The message has the kind, not the resource."""
    details = {**_details(kind, name), "kind": kind.name}
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return StoreError(409, "Conflict", message, details)


def invalid(kind: Kind, name: str, field: str, problem: str, cause: str = "FieldValueInvalid") -> StoreError:
    """The object breaks a validation rule of its kind."""
    details = {
        **_details(kind, name),
        "kind": kind.name,
        "causes": [{"reason": cause, "message": problem, "field": field}],
    }
    return StoreError(422, "Invalid", f'{kind.qualified} "{name}" is invalid: {field}: {problem}', details)


def unprocessable() -> StoreError:
    """A JSON patch that cannot be applied to this object."""
    return StoreError(422, "Invalid", "the server rejected our request due to an error in our request")


def bad_request(message: str) -> StoreError:
    """A malformed request."""
    return StoreError(400, "BadRequest", message)


def expired(asked: int, oldest: int) -> StoreError:
    """The resourceVersion from which a watch wants to resume is gone."""
    return StoreError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def anonymous(verb: str, path: str, place: Place | None) -> StoreError:
    """A request without a token: the real server names the anonymous user and what it may not do."""
    if place is None:
        message = f'User "system:anonymous" cannot {verb} path "{path}"'
        return StoreError(403, "Forbidden", f"forbidden: {message}")
    kind = place.kind
    verb = "list" if verb == "get" and not place.name else verb
    where = f'in the namespace "{place.namespace}"' if place.namespace else "at the cluster scope"
    message = f'User "system:anonymous" cannot {verb} resource "{kind.plural}" in API group "{kind.group}" {where}'
    name = f' "{place.name}"' if place.name else ""
    details = {key: value for key, value in _details(kind, place.name).items() if value}
    return StoreError(403, "Forbidden", f"{kind.resource}{name} is forbidden: {message}", details)


def no_resource() -> StoreError:
    """A path that names no resource of a known group."""
    return StoreError(404, "NotFound", "the server could not find the requested resource")


def no_method() -> StoreError:
    """A verb that this path does not support."""
    message = "the server does not allow this method on the requested resource"
    return StoreError(405, "MethodNotAllowed", message)


def is_known_group(path: str) -> bool:
    """Is it a path of a group and version that the API has?"""
    known = {(kind.group, kind.version) for kind in KINDS.values()}
    parts = path.split("/")[1:]
    if parts[0] == "api":
        return len(parts) > 2 and ("", parts[1]) in known
    return parts[0] == "apis" and len(parts) > 3 and (parts[1], parts[2]) in known


def bad_version(asked: str) -> StoreError:
    """A resourceVersion that is not a number."""
    text = json.dumps(asked)
    message = f"resourceVersion: Invalid value: {text}: strconv.ParseUint: parsing {text}: invalid syntax"
    return StoreError(500, "", message)


def bad_dry_run(asked: str) -> StoreError:
    """A dryRun value other than "All"."""
    problem = f'Unsupported value: ["{asked}"]: supported values: "All"'
    causes = {"causes": [{"reason": "FieldValueNotSupported", "message": problem, "field": "dryRun"}]}
    details = {"group": "meta.k8s.io", "kind": "PatchOptions", **causes}
    return StoreError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: dryRun: {problem}', details)


def wrong_type(kind: Kind, problem: str) -> StoreError:
    """A body with fields of wrong types."""
    return bad_request(f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: {problem}')


def patched_wrong_type(patch: Any, problem: str) -> StoreError:
    """A patch whose result has fields of wrong types."""
    message = f"Invalid value: {json.dumps(json.dumps(patch))}: {problem}"
    details = {"causes": [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]}
    return StoreError(422, "Invalid", f' "" is invalid: patch: {message}', details)


def other_uid(kind: Kind, namespace: str, name: str, sent: str, found: str) -> StoreError:
    """A replacement whose uid is that of another object, or of one that does not exist."""
    group = "" if kind.group in ("", "apps", "coordination.k8s.io", "discovery.k8s.io") else f"{kind.group}/"
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{group}{kind.plural}/{namespace}/{name}, "
        "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: "
        f"{sent}, UID in object meta: {found}"
    )
    return conflict(kind, name, why)


def wrong_kind(kind: Kind, api_version: str, name: str) -> StoreError:
    """A body of another kind than that of the URL."""
    message = f'{name} in version "{api_version}" cannot be handled as a {kind.name}: the URL is of {kind.resource}'
    return bad_request(message)


def wrong_namespace() -> StoreError:
    """A body for another namespace than that of the URL."""
    message = "the namespace of the provided object does not match the namespace sent on the request"
    return bad_request(message)


def wrong_name(sent: str, asked: str) -> StoreError:
    """A body with another name than that of the URL."""
    if not sent:
        return bad_request("name must be provided")
    return bad_request(f"the name of the object ({sent}) does not match the name on the URL ({asked})")
