"""Container images from Debian packages, Go programs and files, without a registry and without a Docker daemon.

An image is declared as data (layers and a start command). Its key is known before anything is built, each layer is
built once and cached under its key, and an archive has the format of ``docker load`` and ``ctr images import``.
Layers that images share are stored once in an archive. Must never talk to a daemon or a cluster.

    BASE = Debian()                                               # one for all
    APP = Debian(packages=("nginx", "php8.2-fpm"), parent=BASE)   # only what is added becomes a layer
    FILES = Files((File("/srv/app/index.php", source=path),))
    Image("ghcr.io/angelpay/angelpay:1a2b3c4", (BASE, APP, FILES), command=("supervisord",))
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cachelock, debian, gobuild, settings
from lab.debian import Debian
from lab.gobuild import Program
from lab.steps import Log

__all__ = [
    "BASE",
    "Debian",
    "File",
    "Files",
    "Folder",
    "Image",
    "Link",
    "archive",
    "build",
    "config_digest",
    "configuration",
    "prune",
    "tree",
]

BASE = Debian()
"""The one Debian root that every image with packages stands on."""

_MTIME = 1735689600  # a fixed time: equal content gives an equal layer
_UNUSED_S = 21 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class File:
    """One file of an image: ``source`` is its content, a file to copy, or a Go program of lab/gobuild.py."""

    path: str
    source: bytes | Path | Program
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link at ``path`` to ``target``."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder, for its mode and owner."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """A layer of files."""

    entries: tuple[File | Link | Folder, ...]


Layer = Debian | Files


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its full name with tag (``registry/path:tag``), its layers from the bottom, and how it starts."""

    name: str
    layers: tuple[Layer, ...]
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    folder: str = "/"
    stop_signal: str = ""
    architecture: str = ""  # said of it, as Go names them ("arm64"); empty: this machine's


@dataclass(frozen=True, slots=True)
class Built:
    """A layer in the cache: an uncompressed tar and its digest."""

    path: Path
    digest: str


def tree(source: Path, target: str, *, executable: Sequence[str] = ()) -> tuple[File, ...]:
    """Every file below ``source`` as an entry below ``target``; names in ``executable`` get mode 0755."""
    found = sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return tuple(
        File(f"{target.rstrip('/')}/{p.relative_to(source)}", p, mode=0o755 if p.name in executable else 0o644)
        for p in found
    )


def key(layer: Layer) -> str:
    """A key of the layer's content; equal keys mean that nothing has to be built again."""
    if isinstance(layer, Debian):
        return debian.key(layer)
    digest = hashlib.sha256(b"files 1")
    for entry in layer.entries:
        digest.update(repr((type(entry).__name__, entry.path)).encode())
        if isinstance(entry, Link):
            digest.update(entry.target.encode())
            continue
        digest.update(repr((entry.mode, entry.uid, entry.gid)).encode())
        if isinstance(entry, File):
            digest.update(_content_key(entry.source))
    return digest.hexdigest()[:24]


def image_key(image: Image) -> str:
    """A key of the image's content, start command included."""
    words = repr((image.name, image.entrypoint, image.command, image.env, image.user, image.folder, image.stop_signal))
    words += image.architecture
    return hashlib.sha256("\n".join([words, *(key(layer) for layer in image.layers)]).encode()).hexdigest()[:24]


def build(layer: Layer, log: Log) -> Built:
    """The layer from the cache; built first if it is missing."""
    folder = settings.cache() / "layers"
    folder.mkdir(parents=True, exist_ok=True)
    path, note = folder / f"{key(layer)}.tar", folder / f"{key(layer)}.sha256"
    with cachelock.held(folder / f"{key(layer)}.lock"):
        if not (path.exists() and note.exists()):
            unfinished = path.with_suffix(".unfinished")
            if isinstance(layer, Debian):
                parent = build(layer.parent, log).path if layer.parent else None
                debian.build(layer, parent, unfinished, log)
            else:
                _write_files(layer, unfinished, log)
            note.write_text(_sha256(unfinished), encoding="utf-8")
            unfinished.replace(path)
    for used in (path, note):
        used.touch()
    return Built(path, note.read_text(encoding="utf-8"))


def config_digest(image: Image, log: Log) -> str:
    """The image's id in containerd and Docker."""
    return hashlib.sha256(configuration(image, [build(layer, log) for layer in image.layers])).hexdigest()


def archive(images: Sequence[Image], log: Log) -> Path:
    """One archive with all ``images``, each shared layer once; from the cache where nothing has changed."""
    built = [(image, [build(layer, log) for layer in image.layers]) for image in images]
    configs = [configuration(image, layers) for image, layers in built]
    name = hashlib.sha256(b"archive 1" + b"".join(configs) + repr([i.name for i in images]).encode()).hexdigest()[:24]
    path = settings.cache() / "archives" / f"{name}.tar"
    path.parent.mkdir(parents=True, exist_ok=True)
    with cachelock.held(path.with_suffix(".lock")):
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            _write_archive(built, configs, unfinished)
            unfinished.replace(path)
    path.touch()
    log.say(f"archive {path}: {', '.join(image.name for image in images)}")
    return path


def prune() -> None:
    """Remove layers and archives that were not used for weeks, to bound the cache."""
    oldest_s = time.time() - _UNUSED_S
    for folder in ("layers", "archives"):
        for path in (settings.cache() / folder).glob("*"):
            if path.stat().st_mtime < oldest_s:
                path.unlink(missing_ok=True)


def configuration(image: Image, layers: Sequence[Built]) -> bytes:
    """The image's configuration (JSON of the OCI image specification) over these layers."""
    start: dict[str, object] = {
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *(f"{k}={v}" for k, v in image.env),
        ],
        "Cmd": list(image.command),
        "Entrypoint": list(image.entrypoint),
        "WorkingDir": image.folder,
        "User": image.user,
    }
    if image.stop_signal:
        start["StopSignal"] = image.stop_signal
    content = {
        "architecture": image.architecture or gobuild.architecture(),
        "os": "linux",
        "created": "2025-01-01T00:00:00Z",
        "config": start,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [{"created": "2025-01-01T00:00:00Z", "created_by": "rollproof lab"} for _ in layers],
    }
    return json.dumps(content, sort_keys=True).encode()


def _write_archive(built: Sequence[tuple[Image, list[Built]]], configs: Sequence[bytes], path: Path) -> None:
    manifest = []
    written: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for (image, layers), config in zip(built, configs, strict=True):
            name = hashlib.sha256(config).hexdigest() + ".json"
            if name not in written:
                _add(out, name, config)
                written.add(name)
            for layer in layers:
                if layer.digest not in written:
                    out.add(layer.path, arcname=f"{layer.digest}.tar", recursive=False)
                    written.add(layer.digest)
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": [f"{e.digest}.tar" for e in layers]})
        _add(out, "manifest.json", json.dumps(manifest).encode())


def _add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(content), _MTIME
    out.addfile(info, io.BytesIO(content))


def _write_files(layer: Files, path: Path, log: Log) -> None:
    folders: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for entry in sorted(layer.entries, key=lambda e: e.path):
            info = tarfile.TarInfo(entry.path.strip("/"))
            info.mtime = _MTIME
            _add_parents(out, info.name, folders)
            if isinstance(entry, Link):
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
                out.addfile(info)
                continue
            info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
            if isinstance(entry, Folder):
                info.type = tarfile.DIRTYPE
                folders.add(info.name)
                out.addfile(info)
                continue
            _add_content(out, info, entry.source, log)


def _add_parents(out: tarfile.TarFile, name: str, folders: set[str]) -> None:
    """Folders of a lower layer are left out: /tmp or /root would lose their modes."""
    for parent in reversed(Path(name).parents):
        text = str(parent)
        if text == "." or text in folders or text in _STANDARD_FOLDERS:
            continue
        info = tarfile.TarInfo(text)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, _MTIME
        folders.add(text)
        out.addfile(info)


_STANDARD_FOLDERS = frozenset({"tmp", "root", "var/tmp", "run", "bin", "sbin", "lib", "proc", "sys", "dev"})


def _add_content(out: tarfile.TarFile, info: tarfile.TarInfo, source: bytes | Path | Program, log: Log) -> None:
    if isinstance(source, bytes):
        info.size = len(source)
        out.addfile(info, io.BytesIO(source))
        return
    path = gobuild.build(source, log) if isinstance(source, Program) else source
    info.size = path.stat().st_size
    with path.open("rb") as content:
        out.addfile(info, content)


def _content_key(source: bytes | Path | Program) -> bytes:
    if isinstance(source, Program):
        return gobuild.key(source).encode()
    return hashlib.sha256(source if isinstance(source, bytes) else source.read_bytes()).digest()


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
