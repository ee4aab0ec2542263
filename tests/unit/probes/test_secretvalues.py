"""What of a Secret is looked for: of a login to registries each secret part, the password out of `auth` too."""

from __future__ import annotations

import base64
import json

import pytest

from rollproof.core.target import SecretSettings
from rollproof.probes.secretvalues import wanted_values

AUTH = base64.b64encode(b"ci:p4ss:word-x").decode()


@pytest.mark.parametrize(
    ("login", "wanted"),
    [
        ({"auth": AUTH}, {"auth": AUTH, "password": "p4ss:word-x"}),
        ({"auth": AUTH, "username": "ci", "password": "p4ss:word-x"}, {"auth": AUTH, "password": "p4ss:word-x"}),
        ({"auth": "n0-base-64"}, {"auth": "n0-base-64"}),
        ({"identitytoken": "t0k-en"}, {"identitytoken": "t0k-en"}),
    ],
)
def test_the_parts_of_a_login(login: dict[str, str], wanted: dict[str, str]) -> None:
    live = {"pull/.dockerconfigjson": json.dumps({"auths": {"ghcr.io": login}})}
    found = wanted_values(SecretSettings(names=("pull",)), live, {})
    assert found == {f"pull/.dockerconfigjson:ghcr.io.{key}": value for key, value in wanted.items()}
