"""Registrylogin: as whom the registry is asked: by the pull secret that the nodes use, by variables, or as nobody."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from rollproof.clients.kube import Kube
from rollproof.clients.oci import Login
from rollproof.clients.registry import login_for
from rollproof.core.pipelinesettings import RegistrySettings
from rollproof.errors import CannotJudgeError

__all__ = ["registry_login"]


def registry_login(
    settings: RegistrySettings, kube: Kube, namespace: str, environ: Mapping[str, str]
) -> tuple[Login | None, str]:  # fmt: skip
    """The login, and in words whose it is. CannotJudgeError if the pull secret is not there, or has none for the host.

    A login of the pull secret is used for the host that it is for, and no other.
    """
    if settings.pull_secret:
        name = f"Secret/{namespace}/{settings.pull_secret}"
        item = kube.find("Secret", namespace, settings.pull_secret)
        if item is None:
            raise CannotJudgeError(f"there is no {name}", "see pipeline.registry.pull_secret")
        host = urlsplit(settings.url).netloc
        login = login_for(host, item)
        if login is None:
            raise CannotJudgeError(f"{name} has no login for {host}", "the nodes cannot use it either: see its `auths`")
        return login, f"pull secret {name}"
    if settings.password_env:
        return Login(environ.get(settings.username_env, ""), environ[settings.password_env]), "pipeline.registry"
    return None, "nobody"
