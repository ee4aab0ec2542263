"""Errors: what the API server says when it refuses, word for word as the real one, so that no drill can tell.

Every refusal is a StoreError with the HTTP status and reason of a Status body. Must not know HTTP or the store.
"""

from __future__ import annotations

from typing import Any

from rollproof.sandbox.api.kinds import Kind

__all__ = [
    "StoreError", "already_exists", "bad_request", "conflict", "expired", "invalid", "not_found", "unprocessable",
]  # fmt: skip


class StoreError(Exception):
    """A refusal: becomes a Status body. `details` is what the Status says of the object."""

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
    """There is no such object."""
    return StoreError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> StoreError:
    """The name is taken."""
    return StoreError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> StoreError:
    """The object is not the one that the caller has read."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StoreError(409, "Conflict", message, _details(kind, name))


def invalid(kind: Kind, name: str, field: str, problem: str, cause: str = "FieldValueInvalid") -> StoreError:
    """The object breaks a rule of its kind."""
    details = {
        **_details(kind, name),
        "kind": kind.name,
        "causes": [{"reason": cause, "message": problem, "field": field}],
    }
    return StoreError(422, "Invalid", f'{kind.name} "{name}" is invalid: {field}: {problem}', details)


def unprocessable(message: str) -> StoreError:
    """A patch that cannot be applied to this object."""
    text = "the server rejected our request due to an error in our request"
    causes = {"causes": [{"reason": "UnexpectedServerResponse", "message": message}]}
    return StoreError(422, "Invalid", text, causes)


def bad_request(message: str) -> StoreError:
    """A request that makes no sense."""
    return StoreError(400, "BadRequest", message)


def expired(asked: int, oldest: int) -> StoreError:
    """The version that a watch wants to go on from is gone."""
    return StoreError(410, "Expired", f"too old resource version: {asked} ({oldest})")
