"""Registry: is there an image for a sha at all? Asked before a deploy, so that a typing error changes nothing.

Two ways, by the target file: what the nodes say that they hold (a lab that pulls nothing), or a HEAD of the manifest
at the registry: where pipeline.registry says, with its login, else at the image's own, with the anonymous token that
public registries hand out. The same HEAD with the login of a pull secret says whether that opens the registry; a login
is sent by TLS only, to the registry and where that sends for a token, or to this machine. Must never download an image.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from rollproof.clients.http import Answer
from rollproof.clients.kube import Kube
from rollproof.clients.oci import MANIFESTS, Login, Registry
from rollproof.core.outside import Outside, parsed
from rollproof.errors import CannotJudgeError, InputError, OutsideDataError

__all__ = [
    "RegistryAt",
    "check_image",
    "image_parts",
    "is_here",
    "is_same",
    "login_for",
    "manifest_status",
    "registry_of",
]

_DOCKER_HUB = ("registry-1.docker.io", "index.docker.io", "docker.io")
_HERE = ("localhost", "127.0.0.1")

_NODE_IMAGES_MAX = 50  # the kubelet reports no more (nodeStatusMaxImages); in a full list absence proves nothing
_HINT = 'is the sha right and its image pushed? (release.image_check = "none" skips this question)'


class RegistryAt(NamedTuple):
    """Where a registry is asked ("https://ghcr.io"), and with which login."""

    url: str
    login: Login | None = None

    @classmethod
    def of(cls, image: str, login: Login | None = None) -> Self:
        """The image's own: by TLS, if it is not on this machine."""
        host = registry_of(image)
        return cls(f"{'http' if is_here(host) else 'https'}://{host}", login)


def check_image(how: str, image: str, kube: Kube, at: RegistryAt) -> None:
    """InputError if `image` (with its tag) does not exist; CannotJudgeError if that cannot be known.

    `how` is release.image_check: "nodes", "registry" or "none"; `at`: the registry that is asked.
    """
    if how == "nodes":
        _check_nodes(image, kube)
    elif how == "registry":
        _check_registry(image, at)


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


def _check_registry(image: str, at: RegistryAt) -> None:
    _, name, tag = image_parts(image)
    where, answer = urlsplit(at.url).netloc, _manifest(image, at)
    if answer.status == 200:
        return
    if answer.status == 404:
        raise InputError(f"{where} has no image {name}:{tag}", _HINT)
    said = answer.error or f"HTTP status {answer.status}"
    if at.login is None:
        hint = "a private image wants a login: see pipeline.registry (url, and pull_secret or password_env)"
    else:
        hint = "is the login of pipeline.registry right, and may it pull?"
    raise CannotJudgeError(f"cannot ask {where} for {name}:{tag}: {said}", hint)


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
        if is_same(host, registry):
            return _login(logins.child(key))
    return None


def is_same(one: str, other: str) -> bool:
    """Whether two hosts are one registry: Docker Hub has three names."""
    return one == other or (one in _DOCKER_HUB and other in _DOCKER_HUB)


def _login(entry: Outside) -> Login | None:
    user, password = entry.text("username"), entry.text("password")
    if not password:
        try:
            user, _, password = base64.b64decode(entry.text("auth")).decode().partition(":")
        except ValueError:
            return None
    return Login(user, password) if user and password else None


def manifest_status(image: str, at: RegistryAt) -> int:
    """The HTTP status of a HEAD of the image's manifest, asked for as a node would. CannotJudgeError without any."""
    answer = _manifest(image, at)
    if answer.status is None:
        where = urlsplit(at.url).netloc
        raise CannotJudgeError(f"the registry {where} gave no answer: {answer.error}", "can this machine reach it?")
    return answer.status


def is_here(host: str) -> bool:
    """Whether a host, with or without its port, is this machine: what is sent there leaves it only by its own doing."""
    return host.rpartition(":")[0] in _HERE or host in _HERE


def _manifest(image: str, at: RegistryAt) -> Answer:
    _, name, reference = image_parts(image)
    return Registry(at.url, at.login).ask("HEAD", name, f"manifests/{reference}", MANIFESTS)


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
