"""Images pushed to a registry on this machine as BuildKit pushes them; and such a registry as a child of this process.

The lab's own registry (imageregistry/) is pushed to by ``up``: its nodes pull from there. Another one lives as long as
the ``with`` that started it, and is ended by its own id: for tests. Must never listen, or push, beyond this machine.

    with started(folder, log) as registry:
        push(registry, "angelpay/angelpay", "1a2b3c4", [platform_image(image, log)])
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http
import json
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lab import gobuild, images
from lab.images import Built, Image
from lab.steps import LabError, Log

__all__ = [
    "PlatformImage",
    "Registry",
    "Running",
    "answers",
    "attestation",
    "docker_config",
    "holds",
    "platform_image",
    "push",
    "started",
]

USER = "lab"
_TYPE = "application/vnd.oci.image"
_PATIENCE_S = 20.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The login is the registry's alone: urllib would send it along to wherever it is told to go."""

    def redirect_request(self, *_: Any) -> None:
        return None


# Nobody stands between this machine and itself, whatever the environment says of proxies.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


def docker_config(host: str, user: str, password: str) -> dict[str, Any]:
    """The content of a pull secret (.dockerconfigjson) with a login for one registry, as kubectl makes it."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"auths": {host: {"username": user, "password": password, "auth": auth}}}


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry and its login. `address`: "127.0.0.1:41234"; auth: "basic", "token" or "none"."""

    address: str
    password: str = field(repr=False)
    auth: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.address}"


@dataclass(frozen=True, slots=True)
class Running(Registry):
    """A registry that was started here. `log_file`: what it says of each request."""

    log_file: Path

    def docker_config(self, *, password: str | None = None) -> dict[str, Any]:
        """The content of a pull secret for it."""
        return docker_config(self.address, USER, self.password if password is None else password)


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """An image as a registry keeps it: its configuration (JSON), and its layers (tar) from the cache or as bytes."""

    config: bytes
    layers: tuple[Built | bytes, ...]
    platform: str  # "linux/arm64"


@dataclass(frozen=True, slots=True)
class _Manifest:
    """A manifest or an index, and the blobs that must be there before it is."""

    text: bytes
    media_type: str
    blobs: tuple[Built | bytes, ...] = ()

    @property
    def digest(self) -> str:
        return _digest(self.text)

    def entry(self, platform: str, **more: Any) -> dict[str, Any]:
        """How an index names it."""
        os, architecture = platform.split("/")[:2]
        named = {"os": os, "architecture": architecture}
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.text), "platform": named, **more}


@contextlib.contextmanager
def started(
    folder: Path, log: Log, *, auth: str = "basic", realm: str = "", redirect: str = "", listen: str = "127.0.0.1:0"
) -> Iterator[Running]:
    """A registry with its data and log below `folder`; ended when the block is left.

    auth: "basic", "token" or "none"; realm: another place that gives tokens; redirect: where blobs are sent to ("here":
    to this registry's own /blobs). LabError if it does not start.
    """
    program, password = gobuild.build(gobuild.REGISTRY, log), secrets.token_hex(12)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    users, log_file = folder / "users", folder / "registry.log"
    users.write_text(log.run(program, "users", USER, stdin=password.encode()), encoding="utf-8")
    users.chmod(0o600)
    words = [program, "serve", "-data", folder / "data", "-users", users, "-auth", auth, "-listen", listen]
    words += [*(["-realm", realm] if realm else []), *(["-redirect", redirect] if redirect else [])]
    with log_file.open("ab") as errors:
        # If this process is killed, its child must not stay behind.
        given = ["setpriv", "--pdeathsig", "TERM", "--", *map(str, words)]
        child = subprocess.Popen(given, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    try:
        address = child.stdout.readline().strip() if child.stdout else ""  # ends too if it ends
        if not address:
            tail = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise LabError(f"the registry did not start: {' '.join(tail) or 'it said nothing'} (see {log_file})")
        yield Running(address, password, auth, log_file)
    finally:
        child.terminate()
        try:
            child.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def platform_image(image: Image, log: Log) -> PlatformImage:
    """An image of the lab; its layers come from the cache, or are built."""
    layers = [images.build(layer, log) for layer in image.layers]
    config = images.configuration(image, layers)
    return PlatformImage(config, tuple(layers), f"linux/{image.architecture or gobuild.architecture()}")


def attestation(subject: str) -> dict[str, Any]:
    """The annotations by which BuildKit marks an entry of an index as an attestation of `subject` (a digest)."""
    return {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject}


def push(
    registry: Registry, name: str, tag: str, of: Sequence[PlatformImage], *, attested: bool = True
) -> tuple[str, tuple[str, ...]]:
    """Push an index of these images under a tag, as BuildKit does: with an `unknown/unknown` entry for each.

    One image that is not attested is pushed as it is, without an index. What the registry has is not pushed again.
    Returns the tag's digest, and each image's.
    """
    made = [_image_manifest(one) for one in of]
    proof = _proof()
    entries = [each.entry(one.platform) for each, one in zip(made, of, strict=True)]
    if attested:
        entries += [proof.entry("unknown/unknown", annotations=attestation(each.digest)) for each in made]
    top = made[0] if len(made) == 1 and not attested else _index(entries)
    client = _Client(registry, name)
    if client.digest_of(tag) != top.digest:
        for part in (*made, *([proof] if attested else [])):
            client.put(part.digest, part)
        client.put(tag, top)
    return top.digest, tuple(each.digest for each in made)


def holds(registry: Registry, name: str, tag: str) -> bool:
    """Whether there is something under that tag; not so too if the registry does not answer."""
    try:
        return bool(_Client(registry, name).digest_of(tag))
    except OSError:
        return False


def answers(registry: Registry) -> bool:
    """Whether it takes its login."""
    try:
        return _Client(registry, "").answers()
    except OSError:
        return False


def _image_manifest(image: PlatformImage, layer: str = f"{_TYPE}.layer.v1.tar") -> _Manifest:
    layers = [{"mediaType": layer, "digest": _digest(one), "size": _size(one)} for one in image.layers]
    config = {"mediaType": f"{_TYPE}.config.v1+json", "digest": _digest(image.config), "size": len(image.config)}
    media_type = f"{_TYPE}.manifest.v1+json"
    content = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}
    return _Manifest(json.dumps(content, sort_keys=True).encode(), media_type, (*image.layers, image.config))


def _proof() -> _Manifest:
    """An attestation as BuildKit makes it: a manifest of no platform, whose layer is an in-toto statement."""
    made = PlatformImage(b'{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers"}}', (b"{}",), "")
    return _image_manifest(made, layer="application/vnd.in-toto+json")


def _index(entries: Sequence[dict[str, Any]]) -> _Manifest:
    media_type = f"{_TYPE}.index.v1+json"
    content = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)}
    return _Manifest(json.dumps(content).encode(), media_type)


class _Client:
    """Pushes to one repository, by the OCI distribution specification (monolithic upload: POST, then PUT)."""

    def __init__(self, registry: Registry, name: str) -> None:
        if not registry.address.startswith("127.0.0.1:"):
            raise LabError(f"the lab pushes to 127.0.0.1 only, and not to {registry.address}")
        self._base, self._registry, self._name = f"{registry.url}/v2/{name}/", registry, name
        self._authorization = self._login()

    def put(self, reference: str, manifest: _Manifest) -> None:
        """Put a manifest or index under a tag or its digest, its blobs first."""
        for blob in manifest.blobs:
            self._blob(blob)
        self._send("PUT", f"manifests/{reference}", manifest.text, {"Content-Type": manifest.media_type})

    def answers(self) -> bool:
        """Whether the registry takes this login; HTTPError if not."""
        return bool(self._send("GET", "/v2/", None))

    def digest_of(self, reference: str) -> str:
        """What is under a tag; "" if nothing is."""
        kinds = ", ".join(f"{_TYPE}.{kind}.v1+json" for kind in ("index", "manifest"))
        found = self._find(f"manifests/{reference}", {"Accept": kinds})
        return str(found["Docker-Content-Digest"]) if found else ""

    def _blob(self, content: Built | bytes) -> None:
        digest = _digest(content)
        if self._find(f"blobs/{digest}"):
            return
        where = self._send("POST", "blobs/uploads/", b"")["Location"]
        url = f"{urljoin(self._base, where)}{'&' if '?' in where else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(_size(content))}
        if isinstance(content, bytes):
            self._send("PUT", url, content, headers)
            return
        with content.path.open("rb") as body:
            self._send("PUT", url, body, headers)

    def _find(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """The headers of what is there, here or where the registry sends for it; None if it is not."""
        try:
            return self._send("HEAD", path, None, headers)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return None
            if error.code == http.HTTPStatus.TEMPORARY_REDIRECT:
                return error.headers
            raise

    def _login(self) -> str:
        pair = base64.b64encode(f"{USER}:{self._registry.password}".encode()).decode()
        if self._registry.auth != "token":
            return f"Basic {pair}"
        asked = f"{self._registry.url}/token?service=registry&scope=repository:{self._name}:pull,push"
        request = urllib.request.Request(asked, headers={"Authorization": f"Basic {pair}"})  # noqa: S310 - 127.0.0.1
        with _DIRECT.open(request, timeout=_PATIENCE_S) as answer:
            return f"Bearer {json.load(answer)['token']}"

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(urljoin(self._base, path), data=body, method=method)  # noqa: S310 - 127.0.0.1
        for name, value in {"Authorization": self._authorization, **(headers or {})}.items():
            request.add_header(name, value)
        with _DIRECT.open(request, timeout=600) as answer:
            return answer.headers


def _size(content: Built | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.path.stat().st_size


def _digest(content: Built | bytes) -> str:
    """A layer's is known since it was built."""
    return f"sha256:{hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.digest}"
