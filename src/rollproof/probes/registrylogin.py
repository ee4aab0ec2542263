"""Registrylogin: as whom the registry is asked: by the pull secret that the nodes use, by variables, or as nobody.

A login of a pull secret is used for the host that it is for, and no other. One exception: where pipeline.registry.url
is on this machine (a registry behind a forwarded port, as nodes have mirrors), it is used for the image's own host.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from rollproof.clients.kube import Kube
from rollproof.clients.oci import Login
from rollproof.clients.registry import RegistryAt, is_here, is_same, login_for, registry_of
from rollproof.core.pipelinesettings import RegistrySettings
from rollproof.errors import CannotJudgeError

__all__ = ["is_registry_of", "registry_at", "registry_login"]


def registry_at(
    settings: RegistrySettings, kube: Kube, namespace: str, environ: Mapping[str, str], image: str
) -> RegistryAt:  # fmt: skip
    """Where to ask for this image, and with which login: pipeline.registry if that is its, else its own, as nobody.

    CannotJudgeError if the pull secret is not there, or has no login for the host.
    """
    if not is_registry_of(settings.url, image):
        return RegistryAt.of(image)
    return RegistryAt(settings.url, registry_login(settings, kube, namespace, environ, image)[0])


def is_registry_of(url: str, image: str) -> bool:
    """Whether nodes pull this image from the registry at `url` (of pipeline.registry), as far as names tell."""
    host = urlsplit(url).netloc
    return bool(host) and (is_same(host, registry_of(image)) or is_here(host))


def registry_login(
    settings: RegistrySettings, kube: Kube, namespace: str, environ: Mapping[str, str], image: str
) -> tuple[Login | None, str]:  # fmt: skip
    """The login, and in words whose it is. CannotJudgeError if there is no pull secret, or it has none for the host."""
    if settings.pull_secret:
        name = f"Secret/{namespace}/{settings.pull_secret}"
        item = kube.find("Secret", namespace, settings.pull_secret)
        if item is None:
            raise CannotJudgeError(f"there is no {name}", "see pipeline.registry.pull_secret")
        host = urlsplit(settings.url).netloc
        login = login_for(host, item) or (login_for(registry_of(image), item) if is_here(host) else None)
        if login is None:
            raise CannotJudgeError(f"{name} has no login for {host}", "the nodes cannot use it either: see its `auths`")
        return login, f"pull secret {name}"
    if settings.password_env:
        return Login(environ.get(settings.username_env, ""), environ[settings.password_env]), "pipeline.registry"
    return None, "nobody"
