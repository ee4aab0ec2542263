"""Every reader of images that rollproof has, against a real registry: what is there, and how it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from siteserver import serving

from lab.registry import USER, Running, push
from rollproof.clients.oci import Login, Registry
from rollproof.clients.registry import RegistryAt, check_image, login_for, manifest_status
from rollproof.core.pipelinesettings import RegistrySettings
from rollproof.errors import CannotJudgeError, InputError, OutsideDataError
from rollproof.probes.registrylogin import registry_login

from .conftest import Start, image

NAME, TAG = "shop/web", "1a2b3c4"
AMD, ARM = "linux/amd64", "linux/arm64"
KINDS = ["basic", "token", "none"]


def login(running: Running, password: str = "") -> Login | None:
    return Login(USER, password or running.password) if running.auth != "none" else None


def secret(content: dict[str, Any]) -> dict[str, Any]:
    return {"data": {".dockerconfigjson": base64.b64encode(json.dumps(content).encode()).decode()}}


class Cluster:
    """A cluster with one Secret."""

    def __init__(self, item: dict[str, Any] | None) -> None:
        self.item = item

    def find(self, *_: str) -> dict[str, Any] | None:
        return self.item


@pytest.mark.parametrize("auth", KINDS)
def test_an_index_of_two_platforms_with_their_attestations(start: Start, auth: str) -> None:
    running = start(auth=auth)
    index, (amd, arm) = push(running, NAME, TAG, [image(AMD), image(ARM)])
    found = Registry(running.url, login(running)).image(NAME, TAG)
    assert (found.digest, found.is_index) == (index, True)
    assert [(one.platform, one.digest) for one in found.platforms] == [(AMD, amd), (ARM, arm)]
    assert found.platforms[1].config == f"sha256:{hashlib.sha256(image(ARM).config).hexdigest()}"
    by_digest = Registry(running.url, login(running)).image(NAME, index)
    assert by_digest == found


@pytest.mark.parametrize("auth", KINDS)
def test_a_single_image_has_its_platform_in_its_configuration(start: Start, auth: str) -> None:
    running = start(auth=auth)
    digest, _ = push(running, NAME, TAG, [image(ARM)], attested=False)
    found = Registry(running.url, login(running)).image(NAME, TAG)
    assert (found.digest, found.is_index, [one.platform for one in found.platforms]) == (digest, False, [ARM])


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_the_pull_secret_opens_it_and_a_wrong_one_or_none_does_not(start: Start, auth: str) -> None:
    running = start(auth=auth)
    push(running, NAME, TAG, [image()])
    whole = f"{running.address}/{NAME}:{TAG}"
    right = login_for(running.address, secret(running.docker_config()))
    wrong = login_for(running.address, secret(running.docker_config(password="another")))
    asked = [manifest_status(whole, RegistryAt(running.url, as_whom)) for as_whom in (right, wrong, None)]
    assert asked == [200, 401, 401]
    assert login_for("ghcr.io", secret(running.docker_config())) is None
    with pytest.raises(CannotJudgeError, match="with the login: HTTP status 401"):
        Registry(running.url, wrong).image(NAME, TAG)
    with pytest.raises(CannotJudgeError, match="without a login: HTTP status 401"):
        Registry(running.url).image(NAME, TAG)


def test_the_pull_secret_is_taken_for_the_host_and_port_of_the_target_file(start: Start) -> None:
    running = start()
    push(running, NAME, TAG, [image()])
    settings, whole = (
        RegistrySettings(url=running.url, pull_secret="ghcr-pull-secret"),
        f"{running.address}/{NAME}:{TAG}",
    )
    found, as_whom = registry_login(settings, Cluster(secret(running.docker_config())), "shop", {}, whole)  # type: ignore[arg-type]
    assert Registry(running.url, found).image(NAME, TAG).platforms
    assert as_whom == "pull secret Secret/shop/ghcr-pull-secret"
    other = secret({"auths": {"127.0.0.1:1": running.docker_config()["auths"][running.address]}})
    with pytest.raises(CannotJudgeError, match=r"has no login for 127\.0\.0\.1"):
        registry_login(settings, Cluster(other), "shop", {}, whole)  # type: ignore[arg-type]


@pytest.mark.parametrize("auth", KINDS)
def test_an_image_that_is_not_there(start: Start, auth: str) -> None:
    running = start(auth=auth)
    push(running, NAME, TAG, [image()])
    asked = Registry(running.url, login(running))
    for name, tag in ((NAME, "fffffff"), ("shop/other", TAG)):
        with pytest.raises(CannotJudgeError, match="HTTP status 404") as caught:
            asked.image(name, tag)
        assert "does not show to this login" in caught.value.hint
        assert manifest_status(f"ghcr.io/{name}:{tag}", RegistryAt(running.url, login(running))) == 404


def test_a_release_of_an_image_that_is_not_there_is_refused(start: Start) -> None:
    running = start(auth="none")
    push(running, NAME, TAG, [image()])
    check_image("registry", f"{running.address}/{NAME}:{TAG}", None, RegistryAt(running.url))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no image shop/web:fffffff"):
        check_image("registry", f"{running.address}/{NAME}:fffffff", None, RegistryAt(running.url))  # type: ignore[arg-type]


def test_a_private_image_cannot_be_asked_for_before_a_release(start: Start) -> None:
    running = start(auth="token")
    push(running, NAME, TAG, [image()])
    with pytest.raises(CannotJudgeError, match="401"):
        check_image("registry", f"{running.address}/{NAME}:{TAG}", None, RegistryAt(running.url))  # type: ignore[arg-type]


def test_a_tag_that_is_pushed_again_names_another_digest(start: Start) -> None:
    running = start()
    first, _ = push(running, NAME, TAG, [image(AMD), image(ARM)])
    second, _ = push(running, NAME, TAG, [image(AMD, "2"), image(ARM, "2")])
    asked = Registry(running.url, login(running))
    assert asked.image(NAME, TAG).digest == second != first
    assert asked.image(NAME, first).digest == first  # it is still there, by its digest


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_a_blob_that_is_sent_to_the_registry_s_own_store(start: Start, auth: str) -> None:
    running = start(auth=auth, redirect="here")
    push(running, NAME, TAG, [image(ARM)], attested=False)
    assert [one.platform for one in Registry(running.url, login(running)).image(NAME, TAG).platforms] == [ARM]


def test_a_blob_that_is_sent_to_another_host_is_asked_for_there_without_the_login(start: Start) -> None:
    with serving() as store:
        running = start(redirect=f"{store.url}/blobs")
        push(running, NAME, TAG, [image(ARM)], attested=False)
        config = image(ARM).config
        digest = hashlib.sha256(config).hexdigest()
        path = f"/blobs/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        store.answers["GET", path] = (200, {}, config.decode())
        found = Registry(running.url, login(running)).image(NAME, TAG)
        assert [one.platform for one in found.platforms] == [ARM]
        assert store.asked
        assert not any("authorization" in headers for _, __, headers in store.asked)
        store.answers["GET", path] = (200, {}, '{"os": "linux", "architecture": "s390x"}')
        with pytest.raises(OutsideDataError, match="has the digest"):  # what another host gives is calculated anew
            Registry(running.url, login(running)).image(NAME, TAG)


def test_a_realm_on_another_host_gets_no_login_over_plain_http(start: Start) -> None:
    with serving() as elsewhere:
        running = start(auth="token", realm=f"{elsewhere.url}/token")
        with pytest.raises(CannotJudgeError, match="HTTP status 401"):
            Registry(running.url, login(running)).image(NAME, TAG)
        assert not elsewhere.asked
        with pytest.raises(CannotJudgeError, match="HTTP status 401"):
            Registry(running.url).image(NAME, TAG)  # as nobody it may be asked
        assert len(elsewhere.asked) == 1
        assert "authorization" not in elsewhere.asked[0][2]


def test_no_login_is_shown_by_what_it_raises(start: Start) -> None:
    running = start(auth="token")
    with pytest.raises(CannotJudgeError) as caught:
        Registry(running.url, login(running)).image(NAME, TAG)
    assert running.password not in f"{caught.value} {caught.value.hint}"
