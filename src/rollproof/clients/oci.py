"""Oci: a registry by the OCI distribution API: what a tag names, for which platforms, by which digests. GETs only.

Login as a container runtime does: ask, and answer the challenge (Basic, or Bearer by a token of the realm that it
names). A login is sent to the registry's own host, or to a realm over https; a token only to the registry. A redirect
of a blob to its store is followed once, without credentials. Every digest is calculated anew.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from rollproof.clients.http import Answer, request
from rollproof.clients.proxies import proxy_for
from rollproof.core.outside import Outside, parsed, shown
from rollproof.errors import CannotJudgeError, OutsideDataError
from rollproof.redaction import SECRETS

__all__ = ["MANIFESTS", "Login", "PlatformManifest", "Registry", "TaggedImage"]

_INDEXES = ("oci.image.index.v1", "docker.distribution.manifest.list.v2")
_SINGLE = ("oci.image.manifest.v1", "docker.distribution.manifest.v2")
MANIFESTS = ", ".join(f"application/vnd.{kind}+json" for kind in (*_INDEXES, *_SINGLE))
_PLATFORMS_MAX = 16  # of one index that are looked at
_TIMEOUT_S, _WHOLE_S = 10.0, 90.0  # of one question, and of all
_TOKEN_MAX = 64 * 1024  # characters; servers take headers of 8 to 32 kB
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HINTS = {
    401: "is the login right, and may it pull? (pipeline.registry)",
    403: "the login is known and may not pull this repository",
    404: "a registry may say so too of what it does not show to this login",
    429: "the registry limits how often it is asked: try again later, or with a login",
}


class Login(NamedTuple):
    """A user and a password or token. Neither is ever shown."""

    user: str
    password: str

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class PlatformManifest:
    """The image for one platform ("linux/arm64"): digests of its manifest and of its configuration."""

    platform: str
    digest: str
    config: str


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """What a tag names: the digest of an index, or of a single manifest, and the images in it."""

    digest: str
    is_index: bool
    platforms: tuple[PlatformManifest, ...]


class Registry:
    """A registry at a base URL, `https://ghcr.io`, with a login or none; for one look, which ends within `whole_s`."""

    def __init__(
        self, url: str, login: Login | None = None, *, timeout_s: float = _TIMEOUT_S, whole_s: float = _WHOLE_S
    ) -> None:
        self._url, self._login, self._timeout_s = url.rstrip("/"), login, timeout_s
        self._whole_s, self._until_s = whole_s, time.monotonic() + whole_s
        self._authorization: dict[str, str] = {}
        if login is not None:
            SECRETS.add((login.password, login.basic.removeprefix("Basic ")))

    def image(self, name: str, tag: str) -> TaggedImage:
        """What the tag names. CannotJudgeError if that cannot be had, OutsideDataError if it is no manifest."""
        document, digest = self._manifest(name, tag)
        if not document.has("manifests"):
            return TaggedImage(digest, is_index=False, platforms=(self._single(name, document, digest),))
        return TaggedImage(digest, is_index=True, platforms=tuple(self._of_index(name, document)))

    def ask(self, method: str, name: str, path: str, accept: str) -> Answer:
        """One question about a repository, `/v2/<name>/<path>`; asked again with a login if one is demanded."""
        url, headers = f"{self._url}/v2/{name}/{path}", {"Accept": accept}
        answer = self._send(method, url, {**headers, **self._authorization})
        if answer.status == 401 and (found := self._authorized(answer, name)):
            self._authorization = {"Authorization": found}
            answer = self._send(method, url, {**headers, **self._authorization})
        return answer

    # -- manifests ---------------------------------------------------------------------------------------------------

    def _of_index(self, name: str, index: Outside) -> Iterator[PlatformManifest]:
        """Attestations, which BuildKit puts there as images of the platform unknown/unknown, are none.

        An entry need not say its platform; then its configuration does. What is not an image has an artifactType.
        """
        entries = [one for one in index.objects("manifests") if not _is_other(one)]
        if len(entries) > _PLATFORMS_MAX:
            raise CannotJudgeError(f"the index of {name} has {len(entries)} images, and {_PLATFORMS_MAX} are looked at")
        for entry in entries:
            document, digest = self._manifest(name, _digest(entry))
            if entry.has("platform"):
                yield PlatformManifest(_platform(entry.child("platform")), digest, _digest(document.child("config")))
            else:
                yield self._single(name, document, digest)

    def _single(self, name: str, manifest: Outside, digest: str) -> PlatformManifest:
        """Its platform is in its configuration only."""
        config = _digest(manifest.child("config"))
        found = Outside.of(parsed(self._blob(name, config), f"image configuration {config}"), config)
        for key in ("os", "architecture"):  # a chart or a signature has neither: it is no image of another platform
            found.needed(key)
        return PlatformManifest(_platform(found), digest, config)

    def _manifest(self, name: str, reference: str) -> tuple[Outside, str]:
        answer = self._checked(self.ask("GET", name, f"manifests/{reference}", MANIFESTS), f"{name}:{reference}")
        digest, who = _sha256(answer.body), f"the manifest of {name}:{reference}"
        said = answer.headers.get("docker-content-digest", digest)
        if digest not in (said, reference) or (_DIGEST.fullmatch(reference) and digest != reference):
            raise OutsideDataError(f"{who} has the digest {digest}, and the registry says {shown(said)}")
        return Outside.of(parsed(answer.body, who), who), digest

    def _blob(self, name: str, digest: str) -> bytes:
        """A small blob. An object store may be asked for it, without the login, and over TLS where the registry is."""
        answer = self.ask("GET", name, f"blobs/{digest}", "*/*")
        where = answer.headers.get("location", "")
        if answer.status in (301, 302, 303, 307, 308) and where:
            elsewhere = _joined(f"{self._url}/", where)
            plain = elsewhere.startswith("http://") and self._url.startswith("http://")
            if elsewhere.startswith("https://") or plain:
                answer = self._send("GET", elsewhere, {})
        body = self._checked(answer, f"{name}@{digest}").body
        if _sha256(body) != digest:
            raise OutsideDataError(f"the blob {digest} of {name} has the digest {_sha256(body)}")
        return body

    def _checked(self, answer: Answer, what: str) -> Answer:
        if answer.status == 200:
            return answer
        said = answer.error or f"HTTP status {answer.status}"
        as_whom = "with the login" if self._login else "without a login"
        raise CannotJudgeError(
            f"{self._url} does not give {what} {as_whom}: {said}", _HINTS.get(answer.status or 0, "")
        )

    # -- login -------------------------------------------------------------------------------------------------------

    def _authorized(self, refusal: Answer, name: str) -> str:
        """The Authorization header that answers a challenge; "" if there is none."""
        demanded = refusal.headers.get("www-authenticate", "")
        if demanded.lower().startswith("basic"):
            return self._login.basic if self._login else ""
        token = self._token(dict(re.findall(r'(\w+)="([^"]*)"', demanded)), name)
        return f"Bearer {token}" if token else ""

    def _token(self, challenge: Mapping[str, str], name: str) -> str:
        """A token of the realm that is named; "" if there is none, or a login would have to leave TLS for it."""
        realm = _joined("", challenge.get("realm", ""))
        if not realm.startswith(("https://", "http://") if self._login is None or self._is_ours(realm) else "https://"):
            return ""
        headers = {"Authorization": self._login.basic} if self._login is not None else {}
        wanted = {"scope": challenge.get("scope") or f"repository:{name}:pull", "service": challenge.get("service", "")}
        answer = self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}", headers)
        for pointer in ("/token", "/access_token"):
            try:
                found = answer.field(pointer)
            except LookupError:
                continue
            if isinstance(found, str) and found.isascii() and found.isprintable() and len(found) <= _TOKEN_MAX:
                SECRETS.add((found,) if self._login else ())  # everybody gets one without a login
                return found
        return ""

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self._url)[:2]

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """One exchange; all of them have one deadline, for an index leads to dozens."""
        left_s = min(self._timeout_s, self._until_s - time.monotonic())
        if left_s <= 0:
            return Answer(status=None, error=f"read.timeout: its answers took longer than {self._whole_s:g} s in all")
        return request(method, url, headers, timeout_s=left_s, proxy=proxy_for(url, os.environ))


def _joined(base: str, url: str) -> str:
    """The URL that is meant; "" for one that nobody can ask."""
    try:
        found = urljoin(base, url)
        urlsplit(found).port  # noqa: B018 - raises too
    except ValueError:
        return ""
    return found


def _is_other(entry: Outside) -> bool:
    if not entry.has("platform"):
        return entry.has("artifactType")
    return _platform(entry.child("platform")).startswith("unknown")


def _platform(found: Outside) -> str:
    parts = [found.text("os", "unknown"), found.text("architecture", "unknown"), found.text("variant")]
    return "/".join(part for part in parts if part)


def _digest(found: Outside) -> str:
    digest = found.needed("digest")
    return digest if _DIGEST.fullmatch(digest) else found.refuse("digest", "a sha256 digest")


def _sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
