"""Overlay: one entry under `images:` of a kustomization, where its tag stands, and the text with another tag.

Pure. It reads the parser's events and nothing that was built from them: aliases are never expanded, and depth and size
are bounded. One value is changed where it stands; every comment, quote and line end stays. The only importer of yaml
(libyaml, whose port Kustomize reads with).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import yaml

from rollproof.errors import InputError

__all__ = [
    "SIZE_MAX", "ImageEntry", "data_value", "decoded", "find_entry", "is_override", "is_text", "overriding",
    "with_data", "with_tag", "without_data",
]  # fmt: skip

SIZE_MAX = 512 * 1024  # bytes of a kustomization
_DEPTH_MAX = 64
_MERGES_MAX = 8  # merge keys behind one another
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"})
# What begins like a number and has nothing but what numbers, dates and times have, in YAML 1.1, 1.2 or JSON.
_NUMBER_LIKE = re.compile(r"[0-9.+-][0-9._:+tz-]*|[0-9.+-][0-9_.]*e[0-9_.+-]*|[+-]?0[xbo].*")
# of Argo CD: name, name:tag, name@digest, name=new:tag; a name may have the port of its registry
_OVERRIDE = re.compile(r"(?P<name>[^=:@]+(?::\d+/[^=:@]+)?)(?:[=:@].*)?")
_STYLE_HINT = "write it as one plain or quoted value on the line of its key: `newTag: <tag>`"


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An entry under `images:`, as Kustomize reads it. `line` counts from 0; `start` and `end` are the tag's place.

    `quote` is "", "'" or '"'; None where the tag cannot be changed in its place, and `why` says why not.
    """

    name: str
    tag: str
    line: int
    start: int
    end: int
    new_name: str = ""
    digest: str = ""
    quote: str | None = ""
    why: str = ""

    @property
    def image(self) -> str:
        """The image's name as it is pulled, without tag or digest."""
        return self.new_name or self.name

    @property
    def is_text(self) -> bool:
        """Whether every YAML reader takes the tag for a text: 1234567 would be a number."""
        return self.quote in {"'", '"'} or is_text(self.tag)


def is_text(plain: str) -> bool:
    """Whether every YAML reader (1.1, 1.2, Kustomize's) takes this for a text when it stands without quotes."""
    lower = plain.lower()
    return bool(plain) and plain not in _NULLS and lower not in _WORDS and not _NUMBER_LIKE.fullmatch(lower)


def decoded(path: str, content: bytes) -> str:
    """The text of a file, its line ends and its byte order mark kept. InputError if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        what = "UTF-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "another encoding"
        raise InputError(f"{path} is not UTF-8, but {what}", "save it as UTF-8, as Kustomize reads it") from None


@lru_cache(maxsize=8)
def find_entry(path: str, text: str, image: str) -> ImageEntry:
    """The entry whose `name` is `image`, with its newTag. InputError names what is there instead."""
    images = _value(_document(path, text), "images", path)
    entries = _items(images, path)
    found = [entry for entry in entries if _text(_value(entry, "name", path)) == image]
    if len(found) > 1:
        lines = " and ".join(str(entry.line + 1) for entry in found)
        message = f"{path} has the image {image!r} {len(found)} times under `images:`, at lines {lines}"
        raise InputError(message, "leave one entry: Kustomize applies one after the other")
    tag = _value(found[0], "newTag", path) if found else None
    if tag is None or _is_null(tag):
        names = ", ".join(_text(_value(entry, "name", path)) or "?" for entry in entries) or "none"
        if found and _has(found[0], "digest"):
            message = f"{path}: line {found[0].line + 1}: the entry {image!r} has only a digest, and no newTag"
            raise InputError(message, "rollproof sets tags: give the entry a newTag, and take the digest out")
        message = f"{path} has no image {image!r} with a newTag (there: {names})"
        raise InputError(message, "env_repo.image is the `name:` of the entry under `images:`")
    return _entry(path, text, found[0], tag)


def with_tag(path: str, text: str, image: str, tag: str) -> str:
    """The text with another tag for the image: one value changed, written so that every YAML reader sees a text.

    InputError if it cannot be changed in its place, or if a digest beside it decides what runs.
    """
    entry = find_entry(path, text, image)
    if entry.digest:
        where = f"{path}: line {entry.line + 1}: the entry {image!r}"
        hint = 'take `digest:` out of it, or have the pipeline deploy that sets both: release.mode = "observe"'
        message = f"{where} has a digest beside its newTag: the digest decides which image runs, whatever the tag says"
        raise InputError(message, hint)
    where = f"{path}: line {entry.line + 1} cannot be changed safely"
    if entry.quote is None:
        raise InputError(f"{where}: {_line(text, entry)}", f"{entry.why}: {_STYLE_HINT}")
    quote = entry.quote or ("" if is_text(tag) else '"')
    changed = f"{text[: entry.start]}{quote}{tag}{quote}{text[entry.end :]}"
    after = find_entry(path, changed, image)
    if (after.tag, after.is_text) != (tag, True) or _differing(path, text, changed) != 1:
        raise InputError(f"{where}: {_line(text, entry)}", _STYLE_HINT)  # read back, and it is not what was meant
    return changed


def is_override(entry: str, image: str) -> bool:
    """Whether an entry of Argo CD's own `kustomize.images` is about this image, so that it outranks the overlay."""
    found = _OVERRIDE.fullmatch(entry)
    return found is not None and found["name"] == image


def overriding(path: str, text: str, image: str) -> str:
    """The entry with which an `.argocd-source.yaml` sets the image itself; "" if there is none."""
    kustomize = _value(_document(path, text), "kustomize", path)
    images = _value(kustomize, "images", path) if kustomize is not None and kustomize.real.kind == "map" else None
    items = images.real.items if images is not None and images.real.kind == "list" else []
    return next((entry for item in items if is_override(entry := _text(item), image)), "")


def data_value(path: str, text: str, key: str) -> str | None:
    """What a ConfigMap's manifest has for a key of its `data`; None for nothing. InputError if it has no `data`."""
    found = _value(_data(path, text), key, path)
    return found.real.value if found is not None else None


def with_data(path: str, text: str, key: str, value: str) -> str:
    """The text with a line more, first under `data`. InputError if none can be added there, or the key is there."""
    first = _data(path, text).items[0]
    begin = text.rfind("\n", 0, first.start) + 1
    indent = text[begin : first.start]
    if indent.strip() or data_value(path, text, key) is not None:
        where = f"{path}: line {first.line + 1}: no key {key} can be added under `data:`"
        raise InputError(where, "it takes one line for each key, and none with that name")
    changed = f'{text[:begin]}{indent}{key}: "{value}"\n{text[begin:]}'
    if data_value(path, changed, key) != value:
        raise InputError(f"{path}: line {first.line + 1}: what was added under `data:` is read as something else")
    return changed


def without_data(path: str, text: str, key: str, value: str) -> str:
    """The text without the line that `with_data` added. InputError if it is written in another way by now."""
    lines = text.splitlines(keepends=True)
    changed = "".join(line for line in lines if line.strip() != f'{key}: "{value}"')
    if data_value(path, text, key) != value or data_value(path, changed, key) is not None:
        raise InputError(f"{path}: the line of key {key} is not as it was written", "take it out by hand")
    return changed


# -- inside -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """A scalar (`value`), a list (`items`) or a map (`pairs`); an alias has `target` alone."""

    kind: str
    line: int
    start: int
    end: int = 0
    value: str = ""
    style: str = ""
    anchored: bool = False
    tagged: bool = False
    items: list[_Node] = field(default_factory=list)
    target: _Node | None = None

    @property
    def real(self) -> _Node:
        return self.target if self.target is not None else self


def _events(path: str, text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        where = f"{path} is not YAML" + (f": line {mark.line + 1}" if mark is not None else "")
        raise InputError(
            f"{where}: {' '.join(str(problem).split())[:200]}", "Kustomize cannot read it either"
        ) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None


def _document(path: str, text: str) -> _Node:
    """The one document that is not empty, as a map."""
    mark = len(text) - len(text.removeprefix("\ufeff"))
    documents: list[_Node] = []
    anchors: dict[str, _Node] = {}
    open_nodes: list[_Node] = []
    for event in _events(path, text[mark:]):
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(path, event, anchors, mark)
        (open_nodes[-1].items if open_nodes else documents).append(node)
        if node.kind in {"list", "map"}:
            open_nodes.append(node)
        if len(open_nodes) > _DEPTH_MAX:
            raise InputError(f"{path}: line {node.line + 1} is nested more than {_DEPTH_MAX} deep")
    documents = [one for one in documents if not _is_null(one)]
    if len(documents) > 1:
        raise InputError(f"{path} has {len(documents)} YAML documents", "Kustomize reads one: take the others out")
    if documents and documents[0].kind != "map":
        raise InputError(f"{path} is a {documents[0].kind} and no map", "a kustomization has `images:` at its top")
    return documents[0] if documents else _Node("map", 0, 0)


def _node(path: str, event: yaml.NodeEvent, anchors: dict[str, _Node], mark: int) -> _Node:
    start, end = event.start_mark, event.end_mark
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise InputError(f"{path}: line {start.line + 1} names an anchor that is not there: *{event.anchor}")
        return _Node("alias", start.line, start.index + mark, target=anchors[event.anchor])
    kind = {yaml.SequenceStartEvent: "list", yaml.MappingStartEvent: "map"}.get(type(event), "scalar")
    node = _Node(
        kind, start.line, start.index + mark, end.index + mark, anchored=event.anchor is not None,
        tagged=event.tag is not None,
    )  # fmt: skip
    if isinstance(event, yaml.ScalarEvent):
        node.value, node.style = event.value, event.style or ""
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _pairs(node: _Node) -> Iterator[tuple[_Node, _Node]]:
    return zip(node.items[::2], node.items[1::2], strict=True)


def _value(node: _Node, key: str, path: str, merges: int = 0) -> _Node | None:
    """What a map has under a key, by itself or by a merge key; None if it has it not."""
    own = [value for name, value in _pairs(node.real) if (name.kind, name.value) == ("scalar", key)]
    if len(own) > 1:
        raise InputError(f"{path}: line {own[1].line + 1} says `{key}:` a second time in one map", "leave one of them")
    if own or merges > _MERGES_MAX:
        return own[0] if own else None
    for name, merged in _pairs(node.real):
        if name.value != "<<" or name.style:
            continue
        for one in merged.real.items if merged.real.kind == "list" else [merged]:
            if one.real.kind == "map" and (value := _value(one, key, path, merges + 1)) is not None:
                return _Node("alias", name.line, name.start, target=value.real)
    return None


def _has(node: _Node, key: str) -> bool:
    return any(name.value == key for name, _ in _pairs(node.real))


def _data(path: str, text: str) -> _Node:
    """The map under `data` of a manifest, with at least one key."""
    data = _value(_document(path, text), "data", path)
    if data is None or data.kind != "map" or not data.items:
        raise InputError(
            f"{path} has no `data:` with a key in it", "it must be the manifest of a ConfigMap, or a patch"
        )
    return data


def _items(images: _Node | None, path: str) -> list[_Node]:
    """The entries under `images:`, each a map."""
    if images is None or _is_null(images):
        return []
    listed = images.real.kind == "list"
    wrong = next((one for one in images.real.items if one.real.kind != "map"), None) if listed else images
    if wrong is not None:
        what = wrong.real.kind.replace("scalar", "text")
        message = f"{path}: line {wrong.line + 1}: `images:` must be a list of maps with `name:` and `newTag:`"
        seen = f"an item of it is a {what}" if listed else f"it is a {what}"
        raise InputError(f"{message}, and {seen}", "`kustomize edit set image` writes the form that is meant")
    return images.real.items


def _is_null(node: _Node) -> bool:
    real = node.real
    return real.kind == "scalar" and ((not real.style and real.value in _NULLS) or not real.value)


def _text(node: _Node | None) -> str:
    return node.real.value if node is not None and node.real.kind == "scalar" and not _is_null(node) else ""


def _entry(path: str, text: str, entry: _Node, tag: _Node) -> ImageEntry:
    if tag.real.kind != "scalar":
        raise InputError(f"{path}: line {tag.line + 1}: newTag is a {tag.real.kind} and no text", _STYLE_HINT)
    quote, why = _quote(text, entry, tag)
    name, new_name, digest = (_text(_value(entry, key, path)) for key in ("name", "newName", "digest"))
    return ImageEntry(
        name=name, tag=tag.real.value, line=tag.line, start=tag.start, end=tag.end, new_name=new_name, digest=digest,
        quote=quote, why=why,
    )  # fmt: skip


def _quote(text: str, entry: _Node, tag: _Node) -> tuple[str | None, str]:
    """How the tag is quoted; or None, and why it cannot be changed in its place."""
    if tag.kind == "alias":
        return None, "the tag comes from elsewhere in the file (an alias or a merge key)"
    if entry.kind == "alias":
        return None, "the entry comes from elsewhere in the file (an alias)"
    if tag.anchored:
        return None, "the tag has an anchor, by which other places may use it"
    if tag.tagged:
        return None, "the tag has a YAML type before it"
    quote = tag.style if tag.style in {"", "'", '"'} else None
    if quote is None or text[tag.start : tag.end] != f"{quote}{tag.value}{quote}":
        return None, "the tag is written as a block, or with escapes"
    return quote, ""


def _line(text: str, entry: ImageEntry) -> str:
    begin = text.rfind("\n", 0, entry.start) + 1
    return text[begin:].split("\n", 1)[0].strip()[:200]


def _differing(path: str, before: str, after: str) -> int:
    """How many values differ between two texts; -1 if they are built differently."""
    one, other = (
        [(type(event), getattr(event, "anchor", None), getattr(event, "value", None)) for event in _events(path, text)]
        for text in (before.removeprefix("\ufeff"), after.removeprefix("\ufeff"))
    )
    if len(one) != len(other):
        return -1
    return sum(1 for left, right in zip(one, other, strict=True) if left != right)
