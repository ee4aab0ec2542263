"""Registry: is there an image for a sha at all? Asked before a deploy, so that a typing error changes nothing.

Two ways, by the target file: what the nodes say that they hold (a lab that pulls nothing), or a HEAD of the manifest
at the registry, with the anonymous token that public registries hand out. The same HEAD with the login of a pull secret
says whether that opens the registry; a login is sent by TLS only, to the registry and where that sends for a token, or
to this machine. Must never download an image.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from rollproof.clients.http import Answer
from rollproof.clients.kube import Kube
from rollproof.clients.oci import MANIFESTS, Login, Registry
from rollproof.core.outside import Outside, parsed
from rollproof.errors import CannotJudgeError, InputError, OutsideDataError

__all__ = ["check_image", "image_parts", "login_for", "manifest_status", "registry_of"]

_DOCKER_HUB = ("registry-1.docker.io", "index.docker.io", "docker.io")
_HERE = ("localhost", "127.0.0.1")

_NODE_IMAGES_MAX = 50  # the kubelet reports no more (nodeStatusMaxImages); in a full list absence proves nothing
_HINT = 'is the sha right and its image pushed? (release.image_check = "none" skips this question)'


def check_image(how: str, image: str, kube: Kube, *, scheme: str = "https") -> None:
    """InputError if `image` (with its tag) does not exist; CannotJudgeError if that cannot be known.

    `how` is release.image_check: "nodes", "registry" or "none".
    """
    if how == "nodes":
        _check_nodes(image, kube)
    elif how == "registry":
        _check_registry(image, scheme)


def _check_nodes(image: str, kube: Kube) -> None:
    full = False
    for node in kube.list("Node", "")["items"]:
        held = (node.get("status") or {}).get("images") or ()
        if any(image in (one.get("names") or ()) for one in held):
            return
        full = full or len(held) >= _NODE_IMAGES_MAX
    if full:
        message = f"no node names {image}, but the nodes' lists are cut off at {_NODE_IMAGES_MAX} images"
        raise CannotJudgeError(message, 'use release.image_check = "registry" or "none"')
    raise InputError(f"no node holds the image {image}", _HINT)


def _check_registry(image: str, scheme: str) -> None:
    host, name, tag = image_parts(image)
    answer = _manifest(image, scheme)
    if answer.status == 200:
        return
    if answer.status == 404:
        raise InputError(f"{host} has no image {name}:{tag}", _HINT)
    said = answer.error or f"HTTP status {answer.status}"
    hint = 'a private image cannot be asked for without a login: release.image_check = "none"'
    raise CannotJudgeError(f"cannot ask {host} for {name}:{tag}: {said}", hint)


def registry_of(image: str) -> str:
    """Host and port of the registry that an image is pulled from."""
    return image_parts(image)[0]


def login_for(registry: str, secret: Mapping[str, Any] | None) -> Login | None:
    """The login that a Secret of type kubernetes.io/dockerconfigjson has for a registry; None if it has none."""
    data = Outside.of(secret or {}, "the pull secret").child("data")
    try:
        text = base64.b64decode(data.text(".dockerconfigjson")).decode()
        logins = Outside.of(parsed(text or "{}", "the pull secret"), "the pull secret").child("auths")
    except (ValueError, OutsideDataError):
        return None
    for key in logins.value:
        host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
        if host == registry or (host in _DOCKER_HUB and registry in _DOCKER_HUB):
            return _login(logins.child(key))
    return None


def _login(entry: Outside) -> Login | None:
    user, password = entry.text("username"), entry.text("password")
    if not password:
        try:
            user, _, password = base64.b64decode(entry.text("auth")).decode().partition(":")
        except ValueError:
            return None
    return Login(user, password) if user and password else None


def manifest_status(image: str, login: Login | None = None) -> int:
    """The HTTP status of a HEAD of the image's manifest, asked for as a node would. CannotJudgeError without any."""
    host, _, _ = image_parts(image)
    scheme = "http" if host.partition(":")[0] in _HERE else "https"
    answer = _manifest(image, scheme, login)
    if answer.status is None:
        raise CannotJudgeError(f"the registry {host} gave no answer: {answer.error}", "can this machine reach it?")
    return answer.status


def _manifest(image: str, scheme: str, login: Login | None = None) -> Answer:
    host, name, reference = image_parts(image)
    return Registry(f"{scheme}://{host}", login).ask("HEAD", name, f"manifests/{reference}", MANIFESTS)


def image_parts(image: str) -> tuple[str, str, str]:
    """(registry host, repository, tag or digest) by Docker's rules: no dot or colon in the first part is docker.io."""
    name, at, tag = image.partition("@")
    head, colon, rest = name.rpartition(":")
    if colon and "/" not in rest:  # else it is a port
        name, tag = head, (tag if at else rest)
    tag = tag or "latest"
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", name if slash else f"library/{name}"
    return ("registry-1.docker.io" if host == "docker.io" else host), rest, tag
