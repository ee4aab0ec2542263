"""Single questions over HTTP: answers as they are, error classes, and the way to an image's manifest."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeApi
from siteserver import Site, serving

from rollproof.clients.http import Answer, Http, pointed
from rollproof.clients.kube import Kube
from rollproof.clients.oci import Login, Registry
from rollproof.clients.registry import RegistryAt, check_image, image_parts, login_for, manifest_status, registry_of
from rollproof.core.target import App
from rollproof.errors import CannotJudgeError, InputError


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


def test_an_answer_is_what_the_app_said(site: Site) -> None:
    site.answers["GET", "/health"] = (503, {"X-Served-By": "web-1"}, '{"database": "down"}')
    answer = Http(App(base_url=site.url + "/", host="shop.example"), {}).get("/health")
    assert (answer.status, answer.field("/database"), answer.headers["x-served-by"]) == (503, "down", "web-1")
    assert site.asked[0][2]["host"] == "shop.example"


def test_what_is_trusted_is_not_read_where_there_is_no_tls(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl.create_default_context", lambda **_: pytest.fail("40 ms of CPU for nothing"))
    assert Http(App(base_url=site.url), {}).get("/").status is not None


def test_every_question_has_its_own_connection(site: Site) -> None:
    http = Http(App(base_url=site.url), {})
    for _ in range(3):
        http.get("/")
    assert len(site.peers) == 3


def test_a_redirect_is_an_answer_and_not_followed(site: Site) -> None:
    site.answers["GET", "/health"] = (302, {"Location": "/login"}, "")
    assert Http(App(base_url=site.url), {}).get("/health").status == 302
    assert len(site.asked) == 1


def test_errors_are_classes_and_no_status_is_invented() -> None:
    answer = Http(App(base_url="http://127.0.0.1:1"), {}).get("/")
    assert answer.status is None
    assert answer.error.startswith("connect.refused")
    answer = Http(App(base_url="http://no-such-host.invalid"), {}).get("/")
    assert answer.error.startswith("connect.dns")


def test_secrets_come_from_the_environment_by_name(site: Site) -> None:
    app = App(base_url=site.url, headers_env={"X-Token": "TOKEN"}, basic_auth_env=("USER_V", "PASS_V"))
    Http(app, {"TOKEN": "t0", "USER_V": "u", "PASS_V": "p"}).get("/")
    assert site.asked[0][2]["x-token"] == "t0"
    assert site.asked[0][2]["authorization"] == "Basic dTpw"
    with pytest.raises(InputError, match="TOKEN, which is not set"):
        Http(app, {})


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"app\.ca_file"):
        Http(App(base_url="https://127.0.0.1", ca_file=str(tmp_path / "ca.pem")), {})


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [(b"<html>", "/version", "not JSON"), (b"{}", "/version", "no /version"), (b"[]", "/version", "no /version")],
)
def test_a_missing_field_says_why(body: bytes, pointer: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        pointed(body, pointer)


# -- images -----------------------------------------------------------------------------------------------------

NO_KUBE = Kube("none")
GHCR = RegistryAt("https://ghcr.io")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def manifest(tag: str) -> str:
    return f"/v2/shop/web/manifests/{tag}"


def ask(site: Site, tag: str) -> None:
    image = f"{site.host}/shop/web:{tag}"
    check_image("registry", image, NO_KUBE, RegistryAt.of(image))


def test_an_open_registry_is_asked_for_the_manifest_only(site: Site) -> None:
    site.answers["HEAD", manifest("abc")] = (200, {}, "")
    ask(site, "abc")
    assert [method for method, _, _ in site.asked] == ["HEAD"]
    assert "oci.image.index" in site.asked[0][2]["accept"]


def test_a_private_registry_is_asked_with_the_login_that_is_given(site: Site) -> None:
    site.answers["HEAD", manifest("abc")] = (401, {"WWW-Authenticate": 'Basic realm="here"'}, "")
    with pytest.raises(CannotJudgeError, match="HTTP status 401") as caught:
        check_image("registry", "ghcr.io/shop/web:abc", NO_KUBE, RegistryAt(site.url))
    assert "wants a login: see pipeline.registry" in caught.value.hint
    with pytest.raises(CannotJudgeError) as caught:
        check_image("registry", "ghcr.io/shop/web:abc", NO_KUBE, RegistryAt(site.url, LOGIN))
    assert "is the login of pipeline.registry right" in caught.value.hint
    site.answers["HEAD+", manifest("abc")] = (200, {}, "")
    check_image("registry", "ghcr.io/shop/web:abc", NO_KUBE, RegistryAt(site.url, LOGIN))
    assert site.asked[-1][2]["authorization"] == BASIC


def test_the_anonymous_token_that_public_registries_want(site: Site) -> None:
    challenge = f'Bearer realm="{site.url}/token",service="reg",scope="repository:shop/web:pull"'
    site.answers["HEAD", manifest("abc")] = (401, {"WWW-Authenticate": challenge}, "")
    site.answers["HEAD+", manifest("abc")] = (200, {}, "")
    token = "/token?scope=repository%3Ashop%2Fweb%3Apull&service=reg"
    site.answers["GET", token] = (200, {}, json.dumps({"token": "anonymous"}))
    ask(site, "abc")
    assert site.asked[-1][2]["authorization"] == "Bearer anonymous"


def test_an_image_that_does_not_exist_is_bad_input(site: Site) -> None:
    with pytest.raises(InputError, match="has no image shop/web:typo"):
        ask(site, "typo")


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_registry_that_does_not_say_is_no_answer(site: Site, status: int) -> None:
    site.answers["HEAD", manifest("abc")] = (status, {}, "")
    with pytest.raises(CannotJudgeError, match=f"HTTP status {status}"):
        ask(site, "abc")


LOGIN = Login("robot", "p/w:1")
BASIC = "Basic " + base64.b64encode(b"robot:p/w:1").decode()


def test_a_login_is_sent_to_where_the_registry_sends_for_a_token(site: Site) -> None:
    image = f"{site.host}/shop/web:abc"
    site.answers["HEAD", manifest("abc")] = (401, {"WWW-Authenticate": f'Bearer realm="{site.url}/token"'}, "")
    site.answers["HEAD+", manifest("abc")] = (200, {}, "")
    site.answers["GET", "/token?scope=repository%3Ashop%2Fweb%3Apull&service="] = (200, {}, json.dumps({"token": "t"}))
    assert manifest_status(image, RegistryAt.of(image, LOGIN)) == 200
    first, token, last = (headers.get("authorization") for _, _, headers in site.asked)
    assert (first, token, last) == (None, BASIC, "Bearer t")


def test_a_login_is_sent_to_a_registry_that_wants_it_itself(site: Site) -> None:
    site.answers["HEAD", manifest("abc")] = (401, {"WWW-Authenticate": 'Basic realm="here"'}, "")
    image = f"{site.host}/shop/web:abc"
    assert manifest_status(image, RegistryAt.of(image, LOGIN)) == 401
    assert site.asked[-1][2]["authorization"] == BASIC
    site.asked.clear()
    assert manifest_status(image, RegistryAt.of(image)) == 401
    assert len(site.asked) == 1


def test_a_login_does_not_leave_tls(site: Site) -> None:
    """A registry by TLS that sends for a token without it gets no login."""
    refusal = Answer(status=401, headers={"www-authenticate": f'Bearer realm="{site.url}/token"'})
    assert Registry("https://ghcr.io", LOGIN)._authorized(refusal, "shop/web") == ""
    assert site.asked == []


def test_a_registry_that_is_not_there(free_port: int) -> None:
    with pytest.raises(CannotJudgeError, match="gave no answer"):
        manifest_status("ghcr.io/shop/web:abc", RegistryAt(f"http://127.0.0.1:{free_port}"))


@pytest.mark.parametrize(
    ("image", "host", "path"),
    [
        ("ghcr.io/shop/web:abc", "ghcr.io", "shop/web/manifests/abc"),
        ("ghcr.io/shop/web@sha256:12", "ghcr.io", "shop/web/manifests/sha256:12"),
        ("ghcr.io/shop/web:abc@sha256:12", "ghcr.io", "shop/web/manifests/sha256:12"),
        ("localhost:5000/web", "localhost:5000", "web/manifests/latest"),
        ("nginx:1.27", "registry-1.docker.io", "library/nginx/manifests/1.27"),
        ("nginx", "registry-1.docker.io", "library/nginx/manifests/latest"),
    ],
)
def test_where_an_image_is(image: str, host: str, path: str) -> None:
    assert registry_of(image) == host
    _, name, reference = image_parts(image)
    assert f"{name}/manifests/{reference}" == path


def docker_config(auths: object) -> dict[str, Any]:
    text = auths if isinstance(auths, str) else json.dumps({"auths": auths})
    return {"data": {".dockerconfigjson": base64.b64encode(text.encode()).decode()}}


AUTH = base64.b64encode(b"robot:p/w:1").decode()


@pytest.mark.parametrize(
    ("auths", "login"),
    [
        ({"ghcr.io": {"username": "robot", "password": "p/w:1"}}, LOGIN),
        ({"https://ghcr.io/v2/": {"auth": AUTH}}, LOGIN),
        ({"quay.io": {"auth": AUTH}}, None),
        ({"ghcr.io": {"auth": "%"}}, None),
        ({"ghcr.io": {}}, None),
        ("{", None),
    ],
)
def test_the_login_of_a_secret(auths: object, login: tuple[str, str] | None) -> None:
    assert login_for("ghcr.io", docker_config(auths)) == login
    assert login_for("ghcr.io", None) is None


def test_docker_hub_has_several_names() -> None:
    assert login_for("registry-1.docker.io", docker_config({"https://index.docker.io/v1/": {"auth": AUTH}})) == LOGIN


def node(*images: str) -> dict[str, Any]:
    return {"metadata": {"name": f"node-{images[0]}"}, "status": {"images": [{"names": [one]} for one in images]}}


def test_what_the_nodes_hold(tmp_path: Path) -> None:
    api = FakeApi()
    api.put("nodes", node("ghcr.io/shop/web:abc"))
    api.put("nodes", node("ghcr.io/shop/web:def"))
    with api.serve(tmp_path) as kubeconfig:
        kube = Kube("fake", str(kubeconfig))
        check_image("nodes", "ghcr.io/shop/web:def", kube, GHCR)
        with pytest.raises(InputError, match=r"no node holds the image .*:typo"):
            check_image("nodes", "ghcr.io/shop/web:typo", kube, GHCR)
        api.put("nodes", node(*(f"other:{number}" for number in range(50))))
        with pytest.raises(CannotJudgeError, match="cut off at 50"):
            check_image("nodes", "ghcr.io/shop/web:typo", kube, GHCR)
        check_image("none", "ghcr.io/shop/web:typo", kube, GHCR)
