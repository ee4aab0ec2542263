"""A registry by the OCI distribution API: indexes, manifests, logins, refusals, and bytes that are not its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from siteserver import Site, serving

from rollproof.clients.http import Answer
from rollproof.clients.oci import Login, PlatformManifest, Registry
from rollproof.errors import CannotJudgeError, OutsideDataError
from rollproof.redaction import SECRETS

NAME, TAG = "shop/web", "bbbbbbb"
MANIFESTS, BLOBS = f"/v2/{NAME}/manifests", f"/v2/{NAME}/blobs"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


def put(site: Site, document: dict[str, Any], *, folder: str = MANIFESTS, tag: str = "") -> str:
    body = json.dumps(document)
    digest = f"sha256:{hashlib.sha256(body.encode()).hexdigest()}"
    for name in (digest, tag) if tag else (digest,):
        site.answers["GET", f"{folder}/{name}"] = (200, {"Docker-Content-Digest": digest}, body)
    return digest


def single(site: Site, architecture: str, *, tag: str = "") -> tuple[str, str]:
    """The digests of a manifest and of its configuration."""
    config = put(site, {"os": "linux", "architecture": architecture}, folder=BLOBS)
    return put(site, {"schemaVersion": 2, "config": {"digest": config}, "layers": []}, tag=tag), config


def entry(digest: str, architecture: str, system: str = "linux", **more: str) -> dict[str, Any]:
    return {"digest": digest, "platform": {"os": system, "architecture": architecture, **more}}


def test_a_single_manifest_has_its_platform_in_its_configuration(site: Site) -> None:
    digest, config = single(site, "arm64", tag=TAG)
    found = Registry(site.url).image(NAME, TAG)
    assert (found.digest, found.is_index) == (digest, False)
    assert found.platforms == (PlatformManifest("linux/arm64", digest, config),)


def test_an_index_without_its_attestations(site: Site) -> None:
    arm, arm_config = single(site, "arm64")
    amd, amd_config = single(site, "amd64")
    note, _ = single(site, "unknown")
    entries = [entry(arm, "arm64", variant="v8"), entry(note, "unknown", "unknown"), entry(amd, "amd64")]
    digest = put(site, {"schemaVersion": 2, "manifests": entries}, tag=TAG)
    found = Registry(site.url).image(NAME, TAG)
    assert (found.digest, found.is_index) == (digest, True)
    assert found.platforms == (
        PlatformManifest("linux/arm64/v8", arm, arm_config), PlatformManifest("linux/amd64", amd, amd_config),
    )  # fmt: skip
    assert "oci.image.index" in site.asked[0][2]["accept"]


def test_a_long_index_is_read_whole_or_not_judged(site: Site) -> None:
    images = [entry(single(site, f"a{number}")[0], f"a{number}") for number in range(17)]
    notes = [entry(f"sha256:{'0' * 64}", "unknown", "unknown")] * 16
    put(site, {"manifests": [*notes, *images[:16]]}, tag=TAG)
    assert len(Registry(site.url).image(NAME, TAG).platforms) == 16
    put(site, {"manifests": images}, tag=TAG)
    with pytest.raises(CannotJudgeError, match="17 images"):
        Registry(site.url).image(NAME, TAG)


def test_all_questions_have_one_deadline(site: Site) -> None:
    """Sixteen images are 50 questions and more: a registry that trickles held a drill up for a quarter of an hour."""
    single(site, "arm64", tag=TAG)
    with pytest.raises(CannotJudgeError, match="took longer than 0 s in all"):
        Registry(site.url, whole_s=0.0).image(NAME, TAG)
    assert site.asked == []


def test_an_entry_need_not_say_its_platform(site: Site) -> None:
    arm, config = single(site, "arm64")
    signature = {"digest": f"sha256:{'0' * 64}", "artifactType": "application/vnd.dev.sigstore.bundle+json"}
    put(site, {"manifests": [{"digest": arm}, signature]}, tag=TAG)
    assert Registry(site.url).image(NAME, TAG).platforms == (PlatformManifest("linux/arm64", arm, config),)


@pytest.mark.parametrize("config", [{}, {"os": "linux"}, {"os": None, "architecture": "arm64"}])
def test_a_configuration_without_a_platform_is_none_of_an_image(site: Site, config: dict[str, Any]) -> None:
    put(site, {"config": {"digest": put(site, config, folder=BLOBS)}}, tag=TAG)
    with pytest.raises(OutsideDataError):
        Registry(site.url).image(NAME, TAG)


@pytest.mark.parametrize("url", ["https://[", "http://[::1", "https://a:99999/", ""])
def test_a_place_that_is_no_url_is_not_asked(site: Site, url: str) -> None:
    _, config = single(site, "arm64", tag=TAG)
    site.answers["GET", f"{BLOBS}/{config}"] = (307, {"Location": quote(url, safe=":/[]")}, "")
    with pytest.raises(CannotJudgeError, match="HTTP status 307"):
        Registry(site.url).image(NAME, TAG)
    demand(site, f'Bearer realm="{quote(url, safe=":/[]")}",service="reg"')
    with pytest.raises(CannotJudgeError, match="HTTP status 401"):
        Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG)


def demand(site: Site, challenge: str) -> None:
    """Everything below /v2/ wants a login."""
    for (method, path), answer in list(site.answers.items()):
        if path.startswith("/v2/"):
            site.answers[f"{method}+", path] = answer
            site.answers[method, path] = (401, {"WWW-Authenticate": challenge}, "")


def test_basic(site: Site) -> None:
    single(site, "arm64", tag=TAG)
    demand(site, 'Basic realm="registry"')
    assert Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG).platforms
    with pytest.raises(CannotJudgeError, match="without a login: HTTP status 401"):
        Registry(site.url).image(NAME, TAG)


def test_bearer_by_a_token_of_the_realm_for_the_login(site: Site) -> None:
    single(site, "arm64", tag=TAG)
    demand(site, f'Bearer realm="{site.url}/token",service="reg",scope="repository:{NAME}:pull"')
    asked = "/token?scope=repository%3Ashop%2Fweb%3Apull&service=reg"
    site.answers["GET+", asked] = (200, {}, json.dumps({"token": "t0k-en-for-ci"}))
    assert Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG).platforms
    heads = [headers["authorization"].split()[0] for _, path, headers in site.asked if "authorization" in headers]
    assert (heads[0], {*heads[1:]}) == ("Basic", {"Bearer"})


def test_a_token_that_no_header_can_hold_is_none(site: Site) -> None:
    """It would be sent and searched for everywhere: one of 1 MB took more memory than the machine had."""
    single(site, "arm64", tag=TAG)
    demand(site, f'Bearer realm="{site.url}/token",service="reg"')
    asked = "/token?scope=repository%3Ashop%2Fweb%3Apull&service=reg"
    site.answers["GET+", asked] = (200, {}, json.dumps({"token": "x" * 70_000}))
    with pytest.raises(CannotJudgeError, match="401"):
        Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG)
    assert not SECRETS.holds("x" * 70_000)


def test_a_login_is_not_sent_to_a_realm_elsewhere_without_tls(site: Site) -> None:
    single(site, "arm64", tag=TAG)
    with serving() as elsewhere:
        demand(site, f'Bearer realm="{elsewhere.url}/token",service="reg"')
        with pytest.raises(CannotJudgeError, match="401"):
            Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG)
        assert elsewhere.asked == []


def test_a_blob_may_be_elsewhere_and_no_credentials_go_there(site: Site) -> None:
    _, config = single(site, "arm64", tag=TAG)
    body = site.answers.pop(("GET", f"{BLOBS}/{config}"))
    demand(site, 'Basic realm="registry"')
    site.answers["GET", "/store"] = body
    site.answers["GET+", f"{BLOBS}/{config}"] = (307, {"Location": "/store"}, "")
    assert Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG).platforms[0].platform == "linux/arm64"
    assert "authorization" not in site.asked[-1][2]


def test_a_registry_without_tls_may_keep_its_blobs_at_another_host_without_tls(site: Site) -> None:
    _, config = single(site, "arm64", tag=TAG)
    body = site.answers.pop(("GET", f"{BLOBS}/{config}"))
    demand(site, 'Basic realm="registry"')
    with serving() as store:
        store.answers["GET", "/store"] = body
        site.answers["GET+", f"{BLOBS}/{config}"] = (307, {"Location": f"{store.url}/store"}, "")
        assert Registry(site.url, Login("ci", "p4ss-word-x")).image(NAME, TAG).platforms[0].platform == "linux/arm64"
        assert ["authorization" in headers for _, __, headers in store.asked] == [False]


def test_a_registry_with_tls_sends_nobody_to_a_host_without(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Answer(status=307, headers={"location": "http://store.example/blob"})
    registry = Registry("https://ghcr.io")
    monkeypatch.setattr(registry, "ask", lambda *_: elsewhere)
    monkeypatch.setattr(registry, "_send", lambda *_: pytest.fail("it was asked for there"))
    with pytest.raises(CannotJudgeError, match="307"):
        registry._blob(NAME, f"sha256:{'1' * 64}")


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "login"), (403, "may not"), (404, "does not show"), (429, "limits")]
)
def test_a_refusal_says_what_it_may_mean(site: Site, status: int, hint: str) -> None:
    site.answers["GET", f"{MANIFESTS}/{TAG}"] = (status, {}, "")
    with pytest.raises(CannotJudgeError, match=f"HTTP status {status}") as error:
        Registry(site.url).image(NAME, TAG)
    assert hint in error.value.hint


def test_bytes_that_are_not_what_their_digest_says(site: Site) -> None:
    digest, config = single(site, "arm64", tag=TAG)
    site.answers["GET", f"{BLOBS}/{config}"] = (200, {}, '{"os": "linux", "architecture": "amd64"}')
    with pytest.raises(OutsideDataError, match="has the digest"):
        Registry(site.url).image(NAME, TAG)
    status, _, body = site.answers["GET", f"{MANIFESTS}/{TAG}"]
    site.answers["GET", f"{MANIFESTS}/{TAG}"] = (status, {"Docker-Content-Digest": digest}, body + " ")
    with pytest.raises(OutsideDataError, match="the registry says"):
        Registry(site.url).image(NAME, TAG)


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"manifests": 1}', '{"config": {"digest": "latest"}}'])
def test_what_is_no_manifest_is_said(site: Site, body: str) -> None:
    site.answers["GET", f"{MANIFESTS}/{TAG}"] = (200, {}, body)
    with pytest.raises(OutsideDataError):
        Registry(site.url).image(NAME, TAG)
