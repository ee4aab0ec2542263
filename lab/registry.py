"""A real image registry on 127.0.0.1: distribution/distribution on a folder, with a login; and images pushed to it.

It is no part of the lab that ``up`` makes: the nodes pull nothing. A registry lives as long as the ``with`` that
started it, and is a child of this process, which ends it by its own id. Must never listen, or push, beyond this
machine.

    with started(folder, log) as registry:
        push(registry, "angelpay/angelpay", "1a2b3c4", [platform_image(image, log)])
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lab import gobuild, images
from lab.images import Image
from lab.steps import LabError, Log

__all__ = ["PlatformImage", "Running", "attestation", "platform_image", "push", "started"]

USER = "lab"
_TYPE = "application/vnd.oci.image"
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A registry that runs. `address`: "127.0.0.1:41234"; `log_file`: what it says of each request."""

    address: str
    password: str = field(repr=False)
    log_file: Path
    auth: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.address}"

    def docker_config(self, *, password: str | None = None) -> dict[str, Any]:
        """The content of a pull secret for it."""
        auth = base64.b64encode(f"{USER}:{self.password if password is None else password}".encode()).decode()
        return {"auths": {self.address: {"auth": auth}}}


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """An image as a registry keeps it: its configuration (JSON), and its layers as files or bytes (tar)."""

    config: bytes
    layers: tuple[Path | bytes, ...]
    platform: str  # "linux/arm64"


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
        yield Running(address, password, log_file, auth)
    finally:
        child.terminate()
        try:
            child.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def platform_image(image: Image, log: Log) -> PlatformImage:
    """An image of the lab, for this machine's platform; its layers come from the cache, or are built."""
    layers = [images.build(layer, log) for layer in image.layers]
    config = images.configuration(image, layers)
    return PlatformImage(config, tuple(layer.path for layer in layers), f"linux/{gobuild.architecture()}")


def attestation(subject: str) -> dict[str, Any]:
    """The annotations by which BuildKit marks an entry of an index as an attestation of `subject` (a digest)."""
    return {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject}


def push(
    registry: Running, name: str, tag: str, of: Sequence[PlatformImage], *, attested: bool = True
) -> tuple[str, tuple[str, ...]]:
    """Push an index of these images under a tag, as BuildKit does: with an `unknown/unknown` entry for each.

    One image that is not attested is pushed as it is, without an index. Returns the tag's digest, and each image's.
    """
    client = _Client(registry, name)
    entries = [client.image(one) for one in of]
    digests = tuple(str(entry["digest"]) for entry in entries)
    if len(of) == 1 and not attested:
        client.manifest(tag, client.manifest_of(of[0]), f"{_TYPE}.manifest.v1+json")
        return digests[0], digests
    if attested:
        entries += [client.attestation(digest) for digest in digests]
    index = json.dumps({"schemaVersion": 2, "mediaType": f"{_TYPE}.index.v1+json", "manifests": entries}).encode()
    return client.manifest(tag, index, f"{_TYPE}.index.v1+json"), digests


class _Client:
    """Pushes to one repository, by the OCI distribution specification (monolithic upload: POST, then PUT)."""

    def __init__(self, registry: Running, name: str) -> None:
        if not registry.address.startswith("127.0.0.1:"):
            raise LabError(f"the lab pushes to 127.0.0.1 only, and not to {registry.address}")
        self._base, self._registry, self._name = f"{registry.url}/v2/{name}/", registry, name
        self._authorization = self._login()

    def image(self, image: PlatformImage) -> dict[str, Any]:
        """Push an image; the index's entry for it."""
        for layer in image.layers:
            self._blob(layer)
        self._blob(image.config)
        text = self.manifest_of(image)
        os, architecture = image.platform.split("/")[:2]
        digest = self.manifest(_digest(text), text, f"{_TYPE}.manifest.v1+json")
        return _entry("manifest.v1+json", text, digest) | {"platform": {"os": os, "architecture": architecture}}

    def attestation(self, subject: str) -> dict[str, Any]:
        """Push an attestation as BuildKit makes it: a manifest of no platform, whose layer is an in-toto statement."""
        made = PlatformImage(b'{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers"}}', (b"{}",), "")
        for blob in (made.config, *made.layers):
            self._blob(blob)
        text = self.manifest_of(made, layer="application/vnd.in-toto+json")
        digest = self.manifest(_digest(text), text, f"{_TYPE}.manifest.v1+json")
        unknown = {"os": "unknown", "architecture": "unknown"}
        return _entry("manifest.v1+json", text, digest) | {"platform": unknown, "annotations": attestation(subject)}

    def manifest_of(self, image: PlatformImage, layer: str = f"{_TYPE}.layer.v1.tar") -> bytes:
        """An OCI image manifest."""
        layers = [
            {
                "mediaType": layer,
                "digest": _digest(one),
                "size": one.stat().st_size if isinstance(one, Path) else len(one),
            }
            for one in image.layers
        ]
        config = _entry("config.v1+json", image.config, _digest(image.config))
        content = {"schemaVersion": 2, "mediaType": f"{_TYPE}.manifest.v1+json", "config": config, "layers": layers}
        return json.dumps(content, sort_keys=True).encode()

    def manifest(self, reference: str, text: bytes, media_type: str) -> str:
        """Put a manifest or index under a tag or its digest; its digest."""
        self._send("PUT", f"manifests/{reference}", text, {"Content-Type": media_type})
        return _digest(text)

    def _blob(self, content: Path | bytes) -> None:
        where = self._send("POST", "blobs/uploads/", b"")["Location"]
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        url = f"{urljoin(self._base, where)}{'&' if '?' in where else '?'}digest={_digest(content)}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        if isinstance(content, bytes):
            self._send("PUT", url, content, headers)
            return
        with content.open("rb") as body:
            self._send("PUT", url, body, headers)

    def _login(self) -> str:
        pair = base64.b64encode(f"{USER}:{self._registry.password}".encode()).decode()
        if self._registry.auth != "token":
            return f"Basic {pair}"
        asked = f"{self._registry.url}/token?service=registry&scope=repository:{self._name}:pull,push"
        request = urllib.request.Request(asked, headers={"Authorization": f"Basic {pair}"})  # noqa: S310 - 127.0.0.1
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
            return f"Bearer {json.load(answer)['token']}"

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(urljoin(self._base, path), data=body, method=method)  # noqa: S310 - 127.0.0.1
        for name, value in {"Authorization": self._authorization, **(headers or {})}.items():
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            return answer.headers


def _entry(kind: str, content: bytes, digest: str) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}.{kind}", "digest": digest, "size": len(content)}


def _digest(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    with content.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
