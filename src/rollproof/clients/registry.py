"""Registry: is there an image for a sha at all? Asked before a deploy, so that a typing error changes nothing.

Two ways, by the target file: what the nodes say that they hold (a lab that pulls nothing), or a HEAD of the manifest
at the registry, with the anonymous token that public registries hand out. Must never download an image.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from rollproof.clients.http import Answer, request
from rollproof.clients.kube import Kube
from rollproof.clients.proxies import proxy_for
from rollproof.errors import CannotJudgeError, InputError

__all__ = ["check_image"]

_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
_NODE_IMAGES_MAX = 50  # the kubelet reports no more (nodeStatusMaxImages); in a full list absence proves nothing
_TIMEOUT_S = 10.0
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
    host, name, tag = _parts(image)
    url = f"{scheme}://{host}/v2/{name}/manifests/{tag}"
    headers = {"Accept": _MANIFESTS}
    answer = _asked("HEAD", url, headers)
    if answer.status == 401 and (token := _token(answer, name)):
        answer = _asked("HEAD", url, {**headers, "Authorization": f"Bearer {token}"})
    if answer.status == 200:
        return
    if answer.status == 404:
        raise InputError(f"{host} has no image {name}:{tag}", _HINT)
    said = answer.error or f"HTTP status {answer.status}"
    hint = 'a private image cannot be asked for without a login: release.image_check = "none"'
    raise CannotJudgeError(f"cannot ask {host} for {name}:{tag}: {said}", hint)


def _token(refusal: Answer, name: str) -> str:
    """An anonymous pull token from where the registry's refusal points to; "" if it gives none."""
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', refusal.headers.get("www-authenticate", "")))
    realm = challenge.get("realm", "")
    if not realm.startswith(("https://", "http://")):
        return ""
    wanted = {"scope": challenge.get("scope") or f"repository:{name}:pull", "service": challenge.get("service", "")}
    answer = _asked("GET", f"{realm}?{urlencode(wanted)}", {})
    for pointer in ("/token", "/access_token"):
        try:
            found = answer.field(pointer)
        except LookupError:
            continue
        if isinstance(found, str) and found.isascii() and found.isprintable():
            return found
    return ""


def _asked(method: str, url: str, headers: Mapping[str, str]) -> Answer:
    return request(method, url, headers, timeout_s=_TIMEOUT_S, proxy=proxy_for(url, os.environ))


def _parts(image: str) -> tuple[str, str, str]:
    """(registry host, repository, tag) by Docker's rules: no dot or colon in the first part means docker.io."""
    name, _, tag = image.rpartition(":")
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", name if slash else f"library/{name}"
    return ("registry-1.docker.io" if host == "docker.io" else host), rest, tag
