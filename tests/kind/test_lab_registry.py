"""The lab's registry as the nodes meet it: what is pulled, with which login, and what the kubelet says if it cannot."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lab_user import credentials, kubectl

from lab import registry, settings, workload_images

pytestmark = [pytest.mark.kind, pytest.mark.usefixtures("at_rest")]

PULLED = ""
Reason = tuple[str, str]


def _docker_config(password: str) -> str:
    content = registry.docker_config(settings.REGISTRY_NAME, credentials()["REGISTRY_USERNAME"], password)
    return base64.b64encode(json.dumps(content).encode()).decode()


@contextmanager
def _pod(tag: str, password: str | None) -> Iterator[str]:
    """A pod on a worker that must ask the registry, with a pull secret of its own; removed when the block is left."""
    name = f"pull-{time.monotonic_ns()}"
    meta = {"name": name, "namespace": "default"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/dockerconfigjson"}
    container = {
        "name": "app", "image": f"{workload_images.APP_NAME}:{tag}", "imagePullPolicy": "Always",
        "command": ["sleep", "600"],
    }  # fmt: skip
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 0}
    items: list[dict[str, Any]] = []
    if password is not None:
        items.append({**secret, "data": {".dockerconfigjson": _docker_config(password)}})
        spec["imagePullSecrets"] = [{"name": name}]
    items.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("create", "-f", "-", stdin=given)
    try:
        yield name
    finally:
        kubectl("delete", "--ignore-not-found", "-f", "-", stdin=given)


def _outcome(pod: str) -> Reason | None:
    """Why the pod's container waits, and the kubelet's words of it; PULLED if it runs; None if neither is known yet."""
    status = json.loads(kubectl("-n", "default", "get", "pod", pod, "-o", "json"))["status"]
    for container in status.get("containerStatuses", ()):
        state = container["state"]
        if "running" in state:
            return PULLED, container["imageID"]
        if (waiting := state.get("waiting", {})).get("reason") in ("ErrImagePull", "ImagePullBackOff"):
            return waiting["reason"], waiting["message"]
    return None


def _until(pod: str, reason: str, *, timeout_s: float = 60) -> str:
    end_s, found = time.monotonic() + timeout_s, None
    while time.monotonic() < end_s:
        found = _outcome(pod)
        if found is not None and found[0] == reason:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(f"expected {reason or 'a pod that runs'} within {timeout_s:g} s, saw {found}")


def _tag(name: str) -> Callable[[dict[str, str]], str]:
    return lambda releases: releases[name]


@pytest.mark.parametrize(
    ("tag", "password", "said"),
    [
        (lambda _: "0badbad", "right", "not found"),
        (_tag("wrong-platform"), "right", "no match for platform in manifest"),
        (_tag("third"), "wrong", "401 Unauthorized"),
        (_tag("third"), None, "401 Unauthorized"),
    ],
    ids=["no such image", "of another platform", "a wrong login", "no login"],
)
def test_what_cannot_be_pulled_says_why(
    releases: dict[str, str], tag: Callable[[dict[str, str]], str], password: str | None, said: str
) -> None:
    given = {"right": credentials()["REGISTRY_PASSWORD"], "wrong": "not-the-password", None: None}[password]
    with _pod(tag(releases), given) as pod:
        assert said in _until(pod, "ErrImagePull")
        assert _until(pod, "ImagePullBackOff")


def test_with_the_login_a_release_is_pulled_and_runs_by_its_digest(releases: dict[str, str]) -> None:
    with _pod(releases["third"], credentials()["REGISTRY_PASSWORD"]) as pod:
        assert _until(pod, PULLED).startswith(f"{workload_images.APP_NAME}@sha256:")
