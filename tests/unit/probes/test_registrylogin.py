"""As whom the registry is asked: by the pull secret for its host alone, by variables, or as nobody."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rollproof.clients.kube import Kube
from rollproof.clients.oci import Login
from rollproof.clients.registry import RegistryAt
from rollproof.core.pipelinesettings import RegistrySettings
from rollproof.errors import CannotJudgeError
from rollproof.probes.registrylogin import registry_at, registry_login

URL, HERE = "https://ghcr.io", "http://127.0.0.1:8095"
IMAGE = "ghcr.io/shop/web:abc"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Secrets(Kube):
    """A cluster that has one Secret, or none."""

    def __init__(self, auths: dict[str, Any] | None) -> None:
        self._auths = auths

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace, name) == ("Secret", "shop", "pull")
        return (
            None
            if self._auths is None
            else {"data": {".dockerconfigjson": encoded(json.dumps({"auths": self._auths}))}}
        )


def of_pull_secret(auths: dict[str, Any] | None) -> Login | None:
    return registry_login(RegistrySettings(url=URL, pull_secret="pull"), Secrets(auths), "shop", {}, IMAGE)[0]


@pytest.mark.parametrize(
    ("host", "login"),
    [
        ("ghcr.io", {"username": "ci", "password": "pw:1"}),
        ("https://ghcr.io", {"auth": encoded("ci:pw:1")}),
        ("https://ghcr.io/v2/", {"username": "other", "auth": encoded("ci:pw:1")}),
    ],
)
def test_the_pull_secret_s_login_for_the_host(host: str, login: dict[str, str]) -> None:
    assert of_pull_secret({"docker.io": {"username": "x", "password": "y"}, host: login}) == Login("ci", "pw:1")


@pytest.mark.parametrize(
    "auths", [None, {}, {"docker.io": {"username": "x", "password": "y"}}, {"ghcr.io": {"auth": "?"}}]
)
def test_a_pull_secret_that_has_none_is_said(auths: dict[str, Any] | None) -> None:
    with pytest.raises(CannotJudgeError, match="Secret/shop/pull"):
        of_pull_secret(auths)


def test_variables_or_nobody() -> None:
    settings = RegistrySettings(url=URL, username_env="U", password_env="P")
    assert registry_login(settings, Secrets(None), "shop", {"U": "ci", "P": "pw"}, IMAGE)[0] == Login("ci", "pw")
    assert registry_login(RegistrySettings(url=URL), Secrets(None), "shop", {}, IMAGE) == (None, "nobody")


GHCR = {"ghcr.io": {"username": "ci", "password": "pw"}}


@pytest.mark.parametrize(
    ("url", "auths", "login"),
    [
        (HERE, GHCR, Login("ci", "pw")),  # a port of this machine, behind which is the image's registry
        (HERE, {"127.0.0.1:8095": {"username": "me", "password": "own"}, **GHCR}, Login("me", "own")),
        (URL, GHCR, Login("ci", "pw")),
        ("https://ghcr.io:8443", GHCR, None),
        ("https://127.0.0.1.example.com", GHCR, None),
        ("https://registry.example.com", GHCR, None),
    ],
)
def test_a_login_goes_to_its_own_host_and_to_this_machine_alone(
    url: str, auths: dict[str, Any], login: Login | None
) -> None:
    settings = RegistrySettings(url=url, pull_secret="pull")
    if login is None:
        assert registry_at(settings, Secrets(auths), "shop", {}, IMAGE) == RegistryAt("https://ghcr.io")
        with pytest.raises(CannotJudgeError, match="has no login for"):
            registry_login(settings, Secrets(auths), "shop", {}, IMAGE)
    else:
        assert registry_at(settings, Secrets(auths), "shop", {}, IMAGE) == RegistryAt(url, login)


def test_an_image_of_another_registry_is_asked_for_there_and_without_a_login() -> None:
    settings = RegistrySettings(url=URL, pull_secret="pull")
    assert registry_at(settings, Secrets(GHCR), "shop", {}, "nginx:1.27") == RegistryAt("https://registry-1.docker.io")
    settings = RegistrySettings(url="https://docker.io", username_env="U", password_env="P")
    found = registry_at(settings, Secrets(None), "shop", {"U": "ci", "P": "pw"}, "nginx:1.27")
    assert found == RegistryAt("https://docker.io", Login("ci", "pw"))
