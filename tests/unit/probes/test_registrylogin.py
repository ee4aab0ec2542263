"""As whom the registry is asked: by the pull secret for its host alone, by variables, or as nobody."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rollproof.clients.kube import Kube
from rollproof.clients.oci import Login
from rollproof.core.pipelinesettings import RegistrySettings
from rollproof.errors import CannotJudgeError
from rollproof.probes.registrylogin import registry_login

URL = "https://ghcr.io"


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
    return registry_login(RegistrySettings(url=URL, pull_secret="pull"), Secrets(auths), "shop", {})[0]


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
    assert registry_login(settings, Secrets(None), "shop", {"U": "ci", "P": "pw"})[0] == Login("ci", "pw")
    assert registry_login(RegistrySettings(url=URL), Secrets(None), "shop", {}) == (None, "nobody")
