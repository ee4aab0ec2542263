"""Edits of the overlay, pushed and rolled out before a drill: what git declares is wrong then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

IMAGE = "ghcr.io/angelpay/angelpay"
Edit = Callable[[str, Mapping[str, str]], str]  # the overlay's text and the releases -> its text


def runs(release: str) -> Edit:
    """This release of the app runs."""

    def edit(text: str, releases: Mapping[str, str]) -> str:
        current = next(line for line in text.splitlines() if "newTag:" in line)
        return text.replace(current, f'{current.split("newTag:")[0]}newTag: "{releases[release]}"')

    return edit


def pinned_by_a_second_entry(text: str, releases: Mapping[str, str]) -> str:
    """A second entry for the same image wins, so that the tag that a pipeline writes changes nothing.

    Its name is a pattern that fits (kustomize's IsImageMatched): the same name twice is refused before anything.
    """
    return f'{text.rstrip()}\n  - name: {IMAGE[:-1]}[{IMAGE[-1]}]\n    newTag: "{releases["first"]}"\n'


def deployment(*operations: dict[str, Any]) -> Edit:
    """JSON-patch operations on the Deployment."""

    def edit(text: str, _: Mapping[str, str]) -> str:
        patch = f"  - target: {{kind: Deployment, name: angelpay}}\n    patch: '{json.dumps(operations)}'\n"
        return text.replace("patches:\n", f"patches:\n{patch}", 1)

    return edit


def one_replica(text: str, _: Mapping[str, str]) -> str:
    """The overlay says how many: it stands above every patch."""
    return text.replace("count: 2", "count: 1")


CONTAINER = "/spec/template/spec/containers/0"
no_prestop = deployment({"op": "remove", "path": f"{CONTAINER}/lifecycle"})
short_prestop = deployment(
    {"op": "replace", "path": f"{CONTAINER}/lifecycle/preStop", "value": {"exec": {"command": ["sleep", "1.4"]}}}
)
soon_exceeded = deployment({"op": "replace", "path": "/spec/progressDeadlineSeconds", "value": 10})
ready_without_database = deployment(
    {"op": "replace", "path": f"{CONTAINER}/readinessProbe/httpGet/path", "value": "/health"}
)

alive_with_database = deployment(
    {"op": "replace", "path": f"{CONTAINER}/livenessProbe/httpGet/path", "value": "/ready"}
)
on_one_node = deployment(
    {
        "op": "add", "path": "/spec/template/spec/nodeSelector",
        "value": {"kubernetes.io/hostname": "rollproof-lab-worker"},
    },
)  # fmt: skip
