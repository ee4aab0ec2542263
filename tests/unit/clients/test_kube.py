"""Kube against a small API server: one attempt each, typed errors, renewed credentials, and both ways to a pod."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeApi

from rollproof.clients.apierrors import api_error
from rollproof.clients.kube import ApiError, Kube, UnreachableError
from rollproof.errors import InputError, RollproofError


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Iterator[Kube]:
    with api.serve(tmp_path) as kubeconfig:
        yield Kube("fake", str(kubeconfig))


def configmap(name: str = "settings", **data: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "data": data}


def test_get_find_create_patch_replace_delete(kube: Kube) -> None:
    made = kube.create("ConfigMap", "shop", configmap(a="1"))
    assert kube.get("ConfigMap", "shop", "settings")["data"] == {"a": "1"}
    assert kube.patch("ConfigMap", "shop", "settings", {"data": {"b": "2"}})["data"] == {"a": "1", "b": "2"}
    with pytest.raises(ApiError) as caught:
        kube.replace("ConfigMap", "shop", "settings", made)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    with pytest.raises(ApiError):
        kube.delete("ConfigMap", "shop", "settings", uid="another")
    kube.delete("ConfigMap", "shop", "settings", uid=made["metadata"]["uid"])
    assert kube.find("ConfigMap", "shop", "settings") is None
    with pytest.raises(ApiError, match="NotFound"):
        kube.get("ConfigMap", "shop", "settings")


def test_writes_carry_our_field_manager_and_a_dry_run_says_so(kube: Kube, api: FakeApi) -> None:
    kube.create("ConfigMap", "shop", configmap())
    kube.patch("ConfigMap", "shop", "settings", {}, dry_run=True)
    assert [query["fieldManager"] for method, _, query in api.asked if method in ("POST", "PATCH")] == ["rollproof"] * 2
    assert api.asked[-1][2]["dryRun"] == "All"


ROUTES = "/apis/gateway.networking.k8s.io/v1"


@pytest.mark.parametrize(
    ("answer", "discovery", "found"),
    [
        (404, (404, "404 page not found"), []),
        (403, (404, "404 page not found"), []),  # who has no right to a kind is refused before it is looked for
        (403, (200, {"resources": [{"name": "gateways"}]}), []),
        (403, (200, {"resources": [{"name": "httproutes"}]}), 403),
        (404, (200, {"resources": [{"name": "httproutes"}]}), 404),
        (403, (403, ""), 403),
        (500, (404, ""), 500),
    ],
)
def test_a_kind_that_the_cluster_does_not_have_is_none_and_one_that_may_not_be_read_is_unknown(
    kube: Kube, api: FakeApi, answer: int, discovery: tuple[int, object], found: object
) -> None:
    api.refuse_next("/httproutes", answer)
    api.refuse_next(ROUTES, *discovery)  # type: ignore[arg-type]
    if isinstance(found, int):
        with pytest.raises(ApiError) as caught:
            kube.list_if_served("HTTPRoute", "shop")
        assert caught.value.status == found
    else:
        assert kube.list_if_served("HTTPRoute", "shop")["items"] == found
    asked = [path for _, path, _ in api.asked]
    assert asked == [f"{ROUTES}/namespaces/shop/httproutes"] + ([ROUTES] if answer != 500 else [])


@pytest.mark.parametrize("status", [403, 404, 409, 429, 500, 503])
def test_an_error_is_one_attempt_and_typed(kube: Kube, api: FakeApi, status: int) -> None:
    api.refuse_next("configmaps", status)
    with pytest.raises(ApiError) as caught:
        kube.get("ConfigMap", "shop", "settings")
    assert caught.value.status == status
    assert len(api.asked) == 1
    assert ("rollproof rbac" in caught.value.hint) == (status == 403)


def test_a_redirect_is_not_followed(kube: Kube, api: FakeApi) -> None:
    api.refuse_next("configmaps", 302, "elsewhere")
    with pytest.raises(UnreachableError, match="answered 302"):
        kube.get("ConfigMap", "shop", "settings")
    assert len(api.asked) == 1


@pytest.mark.parametrize("body", ["OK", "<html>please log in</html>", '"text"', "[]", '{"cut": '])
def test_an_answer_that_is_no_object_says_who_gave_it_and_how_it_begins(kube: Kube, api: FakeApi, body: str) -> None:
    kube.create("ConfigMap", "shop", configmap())
    api.refuse_next("configmaps", 200, body)
    with pytest.raises(UnreachableError) as caught:
        kube.patch("ConfigMap", "shop", "settings", {"data": {}})
    said = str(caught.value)
    assert "PATCH /api/v1/namespaces/shop/configmaps/settings on the API server of context 'fake'" in said
    assert f"answered 200 with no JSON object: {body!r}" in said
    assert "proxy" in caught.value.hint


def test_of_a_long_strange_answer_only_the_beginning_is_shown(kube: Kube, api: FakeApi) -> None:
    api.refuse_next("configmaps", 200, "x" * 500)
    with pytest.raises(UnreachableError, match=r"'x{80}'\.\.\.$"):
        kube.get("ConfigMap", "shop", "settings")


@pytest.mark.parametrize("line", ["OK", "[]", "{}", '{"type": "ADDED"}', '{"type": "ADDED", "object": {}}'])
def test_a_watch_that_says_something_else_is_broken_and_tells_what(kube: Kube, api: FakeApi, line: str) -> None:
    api.refuse_next("configmaps", 200, line + "\n")
    with pytest.raises(UnreachableError) as caught:
        list(kube.watch("ConfigMap", "shop", resource_version="1"))
    assert str(caught.value) == f"the watch of ConfigMap in shop said something that is no event: {line!r}"


def test_closing_a_watch_that_has_ended_harms_nobody_who_got_its_connection(kube: Kube, api: FakeApi) -> None:
    """Its connection is in the pool again: only the watch that still has one may shut it down."""
    kube.create("ConfigMap", "shop", configmap())
    api.refuse_next(
        "configmaps", 200, '{"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "1"}}}\n'
    )
    events = kube.watch("ConfigMap", "shop", resource_version="1")
    assert [kind for kind, _ in events] == ["ADDED"]
    later = kube.watch("ConfigMap", "shop", resource_version=str(api.version))  # on the same connection
    events.close()
    api.put("configmaps", configmap(a="1"))
    assert next(iter(later))[0] == "MODIFIED"
    later.close()


@pytest.mark.parametrize(
    ("host", "proxied"),
    [("127.0.0.1:6443", False), ("[::1]:6443", False), ("localhost", False), ("k8s.example.org", True)],
)
def test_this_machine_is_never_asked_through_a_proxy(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, proxied: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    config = json.loads(Path(kube.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = f"http://{host}"
    (tmp_path / "there").write_text(json.dumps(config))
    pool = Kube("fake", str(tmp_path / "there"))._client().rest_client.pool_manager
    assert (pool.proxy is not None) is proxied


def test_an_expired_token_is_renewed_once(kube: Kube, api: FakeApi) -> None:
    kube.create("ConfigMap", "shop", configmap())
    config = json.loads(Path(kube.kubeconfig).read_text())
    config["users"][0]["user"]["token"] = "fresh-token"
    Path(kube.kubeconfig).write_text(json.dumps(config))
    api.refuse_next("configmaps", 401)
    kube.get("ConfigMap", "shop", "settings")
    assert api.tokens[-2:] == ["Bearer fake-token", "Bearer fresh-token"]


def test_a_token_that_stays_refused_is_an_error(kube: Kube, api: FakeApi) -> None:
    api.refusing["configmaps"] = 401
    with pytest.raises(ApiError, match="401"):
        kube.get("ConfigMap", "shop", "settings")
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"tokenFile": "/nothing/token"}, "names a file that cannot be read: /nothing/token: No such file"),
        ({"auth-provider": {"name": "gcp"}}, "has the auth-provider 'gcp', which is no longer known"),
        ({"auth-provider": {"name": "azure", "config": {}}}, "has the auth-provider 'azure'"),
    ],
)
def test_credentials_that_cannot_be_had_say_why(kube: Kube, user: dict[str, Any], said: str) -> None:
    config = json.loads(Path(kube.kubeconfig).read_text())
    config["users"][0]["user"] = user
    Path(kube.kubeconfig).write_text(json.dumps(config))
    with pytest.raises(RollproofError, match=re.escape(said)):
        kube.version()


@pytest.mark.parametrize(
    ("status", "message", "told", "hint"),
    [
        (401, "Unauthorized", "GET /version: 401 Unauthorized", "missing, wrong or expired"),
        (403, 'User "system:anonymous" cannot get', "cannot get", "missing, wrong or expired"),
        (403, 'User "bot" cannot get', "cannot get", "`rollproof rbac DRILL` prints the permissions"),
        (500, "boom", "boom", ""),
    ],
)
def test_a_refusal_says_what_to_do(status: int, message: str, told: str, hint: str) -> None:
    """`doctor` said of an expired token that `doctor` lists permissions."""
    reason = {401: "Unauthorized", 403: "Forbidden"}.get(status, "InternalError")
    error = api_error(status, json.dumps({"message": message, "reason": reason}), "GET /version")
    assert str(error).endswith(told)
    assert hint in error.hint
    assert bool(hint) == bool(error.hint)


def test_the_named_context_is_used_and_never_the_current_one(kube: Kube) -> None:
    with pytest.raises(InputError, match="context 'another'"):
        Kube("another", kube.kubeconfig).version()


def test_no_server_is_unreachable_and_says_which_context(kube: Kube, tmp_path: Path) -> None:
    config = json.loads(Path(kube.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    (tmp_path / "dead").write_text(json.dumps(config))
    with pytest.raises(UnreachableError, match=r"context 'fake' \(http://127\.0\.0\.1:1\)"):
        Kube("fake", str(tmp_path / "dead")).version()


def test_the_pod_proxy_tells_the_pods_answer_from_the_api_servers(kube: Kube, api: FakeApi) -> None:
    path = "pods/web-1:8080/proxy/health"
    api.refuse_next(path, 200, {"version": "abc"})
    assert kube.pod_proxy("shop", "web-1", 8080, "/health", timeout_s=60) == (200, b'{"version": "abc"}')
    api.refuse_next(path, 503, {"database": "down"})
    assert kube.pod_proxy("shop", "web-1", 8080, "/health", timeout_s=60)[0] == 503
    api.refuse_next(path, 403)
    with pytest.raises(ApiError, match="pods/proxy web-1: 403"):
        kube.pod_proxy("shop", "web-1", 8080, "/health", timeout_s=60)


def test_a_port_forward_without_the_right_is_an_api_error(kube: Kube, api: FakeApi) -> None:
    api.refuse_next("portforward", 403)
    with pytest.raises(ApiError) as caught:
        kube.pod_forward("shop", "web-1", 8080, "/health", timeout_s=60)
    assert caught.value.status == 403


def test_may_asks_for_the_exact_right(kube: Kube, api: FakeApi) -> None:
    api.refuse_next("selfsubjectaccessreviews", 201, {"status": {"allowed": True}})
    assert kube.may("get", "pods", "shop", subresource="proxy") is True
    api.refuse_next("selfsubjectaccessreviews", 201, {"status": {}})
    assert kube.may("get", "pods", "shop") is False
