"""The app's images on their way to the nodes: pushed as an index of their platform, and asked for at one address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from served import served

from lab import apprepo, gobuild, registry, settings, workload_images
from lab.images import BASE, Built, Files, Image
from lab.registry import PlatformImage, Registry
from lab.steps import LabError, Log

LAYER = b"a layer"
IMAGE = PlatformImage(b'{"os": "linux"}', (LAYER,), "linux/s390x")


class Store(BaseHTTPRequestHandler):
    """What of the distribution API a push uses."""

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    @property
    def held(self) -> dict[str, bytes]:
        return self.server.held  # type: ignore[attr-defined,no-any-return]

    def do_HEAD(self) -> None:
        found = self.held.get(self.path)
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if found is not None and "/blobs/" in self.path and (store := self.server.store):  # type: ignore[attr-defined]
            self.answer(307, Location=store + self.path)
            return
        self.answer(404 if found is None else 200, Docker_Content_Digest=registry._digest(found or b""))

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/v2/" else 404)

    def do_POST(self) -> None:
        self.answer(202, Location="/upload?state=1")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.puts.append(self.path)  # type: ignore[attr-defined]
        _, found, digest = self.path.partition("&digest=")
        self.held[f"/v2/shop/web/blobs/{digest}" if found else self.path] = content
        self.answer(201)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Keeps what was put, and in which order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Store)
        self.held: dict[str, bytes] = {}
        self.store = ""  # where blobs are sent to
        self.puts: list[str] = []
        self.asked: list[str] = []

    def named(self, reference: str) -> bytes:
        return self.held[f"/v2/shop/web/manifests/{reference}"]


@contextmanager
def _started() -> Iterator[tuple[Server, Registry]]:
    server = Server()
    with served(server):
        yield server, Registry(f"127.0.0.1:{server.server_port}", "secret", "basic")


def test_a_push_is_an_index_of_the_platform_and_its_attestation() -> None:
    with _started() as (server, place):
        digest, (image,) = registry.push(place, "shop/web", "1a2b3c4", [IMAGE])
        pushed = server.named("1a2b3c4")
        assert digest == registry._digest(pushed)
        entry, proof = json.loads(pushed)["manifests"]
        assert entry["platform"] == {"os": "linux", "architecture": "s390x"}
        assert proof["annotations"] == registry.attestation(image)
        assert entry["digest"] == image == registry._digest(server.named(image))
        layers = json.loads(server.named(image))["layers"]
        assert [server.held[f"/v2/shop/web/blobs/{one['digest']}"] for one in layers] == [LAYER]


def test_what_is_there_is_not_pushed_again() -> None:
    with _started() as (server, place):
        registry.push(place, "shop/web", "1a2b3c4", [IMAGE])
        assert registry.holds(place, "shop/web", "1a2b3c4")
        server.puts.clear()
        registry.push(place, "shop/web", "1a2b3c4", [IMAGE])
        assert server.puts == []
        other = PlatformImage(b'{"os": "linux", "author": "b"}', (LAYER,), "linux/s390x")
        registry.push(place, "shop/web", "1a2b3c4", [other])  # the same tag of another image
        assert [path for path in server.puts if registry._digest(LAYER) in path] == [], "the layer is there"
        assert json.loads(server.named("1a2b3c4"))["manifests"][0]["digest"] in server.puts[-2] + server.puts[-3]


def test_a_store_elsewhere_is_not_asked_and_so_gets_no_login() -> None:
    with _started() as (elsewhere, other), _started() as (server, place):
        server.store = other.url
        registry.push(place, "shop/web", "1a2b3c4", [IMAGE])
        server.puts.clear()
        registry.push(place, "shop/web", "5d6e7f8", [IMAGE])
        assert [path for path in server.puts if "/blobs/" in path or "digest=" in path] == [], "all layers are there"
        assert elsewhere.asked == []


def test_a_layer_of_the_cache_is_pushed_by_the_digest_that_it_was_built_with(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(LAYER)
    image = PlatformImage(b"{}", (Built(path, registry._digest(LAYER).removeprefix("sha256:")),), "linux/amd64")
    with _started() as (server, place):
        registry.push(place, "shop/web", "1a2b3c4", [image])
        assert server.held[f"/v2/shop/web/blobs/{registry._digest(LAYER)}"] == LAYER


def test_a_registry_that_is_away_holds_nothing_and_does_not_answer() -> None:
    with _started() as (_, place):
        assert registry.answers(place)
        assert not registry.holds(place, "shop/web", "0badbad")
    assert not registry.answers(place)
    assert not registry.holds(place, "shop/web", "0badbad")


def test_nothing_is_pushed_beyond_this_machine() -> None:
    with pytest.raises(LabError, match=r"127\.0\.0\.1 only"):
        registry.push(Registry("ghcr.io", "secret", "basic"), "shop/web", "1a2b3c4", [IMAGE])


@pytest.mark.processes
def test_the_release_for_another_platform_says_so_and_the_others_are_for_the_nodes(tmp_path: Path) -> None:
    made = workload_images.app_images(tmp_path / "app.git", apprepo.build(tmp_path / "app.git"), tmp_path / "work")
    other = {image.architecture for image in made} - {""}
    assert [image.architecture for image in made].count("") == len(apprepo.RELEASES) - 1
    assert other
    assert other.isdisjoint({"amd64", "arm64"})


def test_an_image_for_another_platform_has_a_configuration_that_says_so(log: Log) -> None:
    found = registry.platform_image(Image("a:1", (Files(()),), architecture="s390x"), log)
    assert (found.platform, json.loads(found.config)["architecture"]) == ("linux/s390x", "s390x")
    plain = registry.platform_image(Image("a:1", (Files(()),)), log)
    assert plain.platform == f"linux/{gobuild.architecture()}"


def test_the_nodes_ask_where_the_registry_listens_and_this_machine_does_too() -> None:
    where = (settings.SOURCES / "node" / "hosts.toml").read_text(encoding="utf-8")
    manifest = (settings.SOURCES / "imageregistry" / "registry.yaml").read_text(encoding="utf-8")
    [service] = [each for each in YAML(typ="safe").load_all(manifest) if each["kind"] == "Service"]
    [port] = service["spec"]["ports"]
    assert f'server = "http://{settings.CONTROL_PLANE}:{port["nodePort"]}"' in where
    published = (settings.REPOSITORY / "kind-config.yaml").read_text(encoding="utf-8")
    assert f"containerPort: {port['nodePort']}, hostPort: {settings.REGISTRY_PORT}," in published
    assert 'config_path = "/etc/containerd/certs.d"' in (settings.SOURCES / "node" / "containerd.toml").read_text()


@pytest.mark.processes
def test_the_tools_have_the_layers_that_the_releases_share_and_are_an_image_of_their_own(tmp_path: Path) -> None:
    """By its id: the kubelet gives no image that was pulled with a secret to pods that do not have it."""
    first, *_ = workload_images.app_images(tmp_path / "app.git", apprepo.build(tmp_path / "app.git"), tmp_path / "work")
    tools = workload_images.tools()
    assert tools.layers == first.layers[:-1]
    assert tools.layers[0] == BASE
    assert not tools.name.startswith(settings.REGISTRY_NAME)
