"""One rule for proxies (E6, E7): never for this machine, never for what NO_PROXY names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hostile import answers, hostile, kubeconfig_of

from rollproof.clients.http import Http
from rollproof.clients.kube import Kube, UnreachableError
from rollproof.clients.proxies import proxy_for
from rollproof.core.target import App

PROXY = "http://proxy.example.org:3128"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "host", ["127.0.0.1:6443", "[::1]:6443", "localhost", "localhost.", "shop.localhost", "127.9.9.9"]
)
def test_e6_this_machine_is_never_asked_through_a_proxy(name: str, host: str) -> None:
    for scheme in ("http", "https"):
        assert proxy_for(f"{scheme}://{host}/", {name: PROXY}) == ""


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        ("k8s.example.org", True), (".example.org", True), ("example.org", True), ("*.example.org", True), ("*", True),
        ("a.org, example.org", True), ("ample.org", False), ("other.org", False), ("k8s.example.org:6443", True),
        ("k8s.example.org:443", False), ("EXAMPLE.ORG", True), ("10.0.0.0/8", False), ("", False), (",,", False),
    ],
)  # fmt: skip
def test_e7_no_proxy_by_name(no_proxy: str, exempt: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        found = proxy_for("https://k8s.example.org:6443", {"HTTPS_PROXY": PROXY, name: no_proxy})
        assert found == ("" if exempt else PROXY)


@pytest.mark.parametrize(
    ("no_proxy", "exempt"), [("10.0.0.0/8", True), ("10.1.2.3", True), ("10.1.2.4", False), ("1.2.3", False)]
)
def test_e7_no_proxy_by_address(no_proxy: str, exempt: bool) -> None:
    assert (proxy_for("https://10.1.2.3", {"https_proxy": PROXY, "no_proxy": no_proxy}) == "") is exempt


def test_the_scheme_decides_and_lower_case_wins() -> None:
    environ = {"http_proxy": "http://a", "HTTP_PROXY": "http://b", "https_proxy": "c:1", "ALL_PROXY": "socks5://d"}
    assert proxy_for("http://k8s.example.org", environ) == "http://a"
    assert proxy_for("https://k8s.example.org", environ) == "http://c:1"
    assert proxy_for("https://k8s.example.org", {"ALL_PROXY": "socks5://d"}) == "socks5://d"


def pool_of(kube: Kube) -> Any:
    return kube._client().rest_client.pool_manager


@pytest.mark.parametrize("no_proxy", ["", "k8s.example.org"])
def test_e7_the_client_does_as_the_rule_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """Also releases 34 and 35, which read NO_PROXY and forget it: it is decided here, and none is left to them."""
    for name in NAMES:
        monkeypatch.setenv(name, PROXY)
    monkeypatch.setenv("no_proxy", no_proxy)
    kube = Kube("fake", kubeconfig_of("https://k8s.example.org", tmp_path))
    assert (getattr(pool_of(kube), "proxy", None) is None) is bool(no_proxy)


def test_e6_with_every_proxy_set_a_loopback_target_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with hostile(answers(b'{"version": "v1.34.4", "gitVersion": "v1.34.4"}')) as url:
        assert Http(App(base_url=url), {}).get("/health").field("/version") == "v1.34.4"
        assert Kube("fake", kubeconfig_of(url, tmp_path)).version() == "v1.34.4"


@pytest.mark.parametrize("no_proxy", ["[::1", "[x],.example.org", "a:b,[", "*:99999"])
def test_an_exemption_that_is_none_exempts_nobody(no_proxy: str) -> None:
    assert proxy_for("https://api.example.com", {"no_proxy": no_proxy, "https_proxy": PROXY}) == PROXY


@pytest.mark.parametrize("url", ["http://[::1", "https://[x]/", "http://a:99999", "http://a\u2100b.c"])
def test_what_is_no_url_has_no_proxy(tmp_path: Path, url: str) -> None:
    """Whoever asks it says what is wrong with it."""
    assert proxy_for(url, {"all_proxy": PROXY}) == ""
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}], "users": [{"name": "u", "user": {"token": "x" * 20}}],
    }))  # fmt: skip
    with pytest.raises(UnreachableError, match="did not answer"):
        Kube("c", str(path)).version()
