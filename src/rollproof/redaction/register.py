"""Redaction: no secret leaves this process. One register of secrets, used at every output (docs/architecture.md).

Values are redacted before they are serialised: a replacement inside of JSON text breaks it when a secret is `true` or
`12345`. A secret is found in each of its forms (`redaction.forms`), also below several layers of escapes, and when cut
to 8 characters at either end. What a run needs unchanged (the texts of the plan, the vocabulary of facts) is never
replaced; a secret that equals one of those is refused when the target is loaded (`unhideable`). Pure.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from itertools import chain, compress
from typing import Any, TypeVar

from rollproof.redaction.forms import Layer, encoded_forms, layers_below, pair_forms
from rollproof.redaction.ownwords import COMMON_WORDS, OWN_WORDS

__all__ = ["REDACTED", "SECRETS", "Redactor", "texts_of", "unhideable"]

T = TypeVar("T")
REDACTED = "[redacted]"
SHORTEST = 4  # a shorter one cannot be hidden without hiding the report
_SHORTEST_ANYWHERE = 6  # below that, and for hexadecimal digits below 12, only as a word of its own
_CUT = 8  # a fragment of at least this length at a secret's begin or end is hidden
_INSIDE = 12  # the same for a fragment from its middle
_WORDS_MAX = 200  # a longer fragment is no word of anybody's, and none of the thousand that are remembered
_WORD_MAX = 24  # characters before and after a fragment that are examined to find the whole word
_LONG, _APART, _WINDOW = 4096, 1024, 16  # of a longer one 16 grams in 1024 characters: less from its middle may stay
_SAME_MAX = 32  # places where the same five characters stand in all secrets
_GRAM, _STRIDE = 5, 4  # any 8 characters hold 5 that begin at a multiple of 4
_LAYERS_MAX = 24  # JSON in JSON in JSON, in a URL, in HTML; deeper layers are not searched
_NUMBER = re.compile(r"[+-]?[0-9.,_]+(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 7
_HEX = re.compile(r"[0-9A-Fa-f]+")
_USER_INFO = re.compile(r"(?<=://)([^/\s:@'\"]*):([^/\s@'\"]+)(?=@)")
# Output of other programs may hold secrets that are not in the register.
_TOLD = re.compile(
    r"(?i)(\b(?:authorization|proxy-authorization)\b\W{1,4}(?:basic|bearer|token)\s+|\b(?:basic|bearer)\s+(?=\S{8})"
    r"|(?:\b|_)(?:password|passwd|secret|token|api[-_]?key|client-?key-?data|clientKeyData|private[-_]?key)"
    r"\\*[\"']?\s*[:=]\s*\\*[\"']?)"
    r"([^\s\"'\\,;&}]{4,})"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def unhideable(value: str) -> str:
    """Why this value cannot be hidden without breaking the record (the value is not repeated); "" if it can."""
    if len(value) < SHORTEST:
        return f"is shorter than {SHORTEST} characters, so that it cannot be hidden"
    if _NUMBER.fullmatch(value) and len(value) <= _LONGEST_NUMBER:
        return "is a short number, which cannot be told from other numbers"
    if value.casefold() in OWN_WORDS:
        return "is a word that every run folder holds, so that it cannot be hidden"
    return ""


def texts_of(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, text) of every text in a structure, keys included; a place is written as `app.headers_env.X`."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{place}.{key}".lstrip(".")
            yield from texts_of(key, below)
            yield from texts_of(item, below)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from texts_of(getattr(value, field.name), f"{place}.{field.name}".lstrip("."))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts_of(item, place)


@dataclass(frozen=True, slots=True)
class _Index:
    """The needles, prepared for searching: an immutable snapshot."""

    long: tuple[str, ...]
    grams: Mapping[str, tuple[tuple[int, int], ...]]  # five characters → (which needle, where in it)
    fives: frozenset[tuple[str, ...]]  # the same characters one by one, as `_in_one` looks for them
    short: re.Pattern[str] | None
    kept: str  # all texts that stay, one a line

    @classmethod
    def of(cls, forms: Iterable[str], kept: Iterable[str]) -> _Index:
        words = [word for word in dict.fromkeys(forms) if len(word) >= SHORTEST]
        long = tuple(word for word in words if len(word) >= _CUT)
        grams: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, needle in enumerate(long):
            for offset in _offsets(len(needle)):
                grams[needle[offset : offset + _GRAM]].append((number, offset))
        short = sorted((word for word in words if len(word) < _CUT), key=len, reverse=True)
        pattern = re.compile("|".join(map(_short_pattern, short))) if short else None
        return cls(
            long=long,
            grams={gram: tuple(found[:_SAME_MAX]) for gram, found in grams.items()},
            fives=frozenset(map(tuple, grams)),
            short=pattern,
            kept="\n".join(kept),
        )


def _offsets(length: int) -> Iterable[int]:
    """Where in a needle of that length its grams are taken: everywhere, or of a very long one here and there.

    A keystore of 100 kB took 500 MB otherwise. Whole, and cut at either end, it is found all the same.
    """
    last = length - _GRAM
    if length <= _LONG:
        return range(last + 1)
    windows = (range(at, at + _WINDOW) for at in range(0, last - _WINDOW, _APART))
    return chain(range(_WINDOW), *windows, range(last - _WINDOW, last + 1))


def _short_pattern(word: str) -> str:
    return re.escape(word) if _is_telling(word) else rf"(?<![^\W_]){re.escape(word)}(?![^\W_])"


def _is_telling(word: str) -> bool:
    """Whether it may be searched for inside of words: `cafe` and `1234567` are parts of revisions and times."""
    return len(word) >= (12 if _HEX.fullmatch(word) else _SHORTEST_ANYWHERE)


class Redactor:
    """A register of secrets. Thread safe; one for the whole process is `SECRETS`."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, None] = {}
        self._pairs: dict[tuple[str, str], None] = {}
        self._kept: dict[str, None] = {}
        self._index = _Index.of((), ())
        self.add(values)

    def add(self, values: Iterable[str] = (), pairs: Iterable[Sequence[str]] = ()) -> None:
        """Hide these from now on, and for each pair (user, password) the password and its basic auth form.

        A value that `unhideable` refuses and that is not the target's own (a token in a kubeconfig) stays visible.
        """
        users = [(str(user), str(password)) for user, password in pairs]
        with self._lock:
            before = (len(self._values), len(self._pairs))
            for value in (*values, *(password for _, password in users)):
                for line in {value, value.strip()}:
                    if not unhideable(line):
                        self._values[line] = None
            self._pairs |= dict.fromkeys(pair for pair in users if not unhideable(pair[1]))
            if before != (len(self._values), len(self._pairs)):
                self._rebuild()

    def known(self) -> dict[str, list[Any]]:
        """Everything registered, in the form that `add` takes: for a child process, over a pipe."""
        with self._lock:
            return {"values": list(self._values), "pairs": list(self._pairs)}

    def keep(self, value: object) -> None:
        """Leave every text in this structure unchanged from now on: undo and judging need it as it is."""
        with self._lock:
            texts = {text: None for _, text in texts_of(value) if text}
            self._kept |= texts
            if texts.keys() & self._values.keys():
                self._rebuild()
            else:
                self._index = replace(self._index, kept="\n".join(self._kept))

    def clear(self) -> None:
        """Empty the register."""
        with self._lock:
            self._values, self._pairs, self._kept = {}, {}, {}
            self._rebuild()

    def _rebuild(self) -> None:
        forms = [form for value in self._values if value not in self._kept for form in encoded_forms(value)]
        forms += [form for pair in self._pairs for form in pair_forms(*pair)]
        self._index = _Index.of(forms, self._kept)

    def holds(self, text: str) -> bool:
        """Whether a whole secret, in any form, is in the text."""
        return any(True for _ in _found(text, self._index, cut=False))

    def text(self, text: str) -> str:
        """The text without any known secret, and without a password in a URL."""
        if "://" in text:
            text = _USER_INFO.sub(rf"\1:{REDACTED}", text)
        index = self._index
        if (not index.long and index.short is None) or text in self._kept:
            return text
        return _replaced(text, _found(text, index, cut=True))

    def foreign(self, text: str) -> str:
        """The output of another program (git, an exec plugin): also without what only looks like a secret."""
        text = _PRIVATE_KEY.sub(REDACTED, self.text(text))
        return _TOLD.sub(rf"\1{REDACTED}", text)

    def value(self, value: T) -> T:
        """The same structure with every text in it redacted, keys too; dataclasses stay what they are."""
        redacted: Any = self._value(value)
        return redacted  # type: ignore[no-any-return]

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return REDACTED if abs(value) >= 10**_LONGEST_NUMBER and str(value) in self._values else value
        if isinstance(value, Mapping):
            return {self._value(key): self._value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            kind: Any = type(value)
            if hasattr(value, "_fields"):  # a named tuple
                return kind(*map(self._value, value))
            return kind(map(self._value, value))
        if is_dataclass(value) and not isinstance(value, type):
            changed = {field.name: self._value(getattr(value, field.name)) for field in fields(value) if field.init}
            return replace(value, **changed)
        if hasattr(value, "tolist"):  # numpy's
            return self._value(value.tolist())
        return self.text(str(value))


def _replaced(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for begin, end in _merged(spans):
        parts += (text[at:begin], REDACTED)
        at = end
    return "".join((*parts, text[at:])) if parts else text


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that touch joined: a secret may be found twice, in two of its forms."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _found(text: str, index: _Index, *, cut: bool) -> Iterator[tuple[int, int]]:
    """The spans of secrets in the text: as it is, and with its escapes removed."""
    waiting: deque[tuple[str, tuple[Layer, ...]]] = deque([(text, ())])
    seen = {text}
    while waiting:
        shown, layers = waiting.popleft()
        for span in _in_one(shown, index, cut=cut):
            for layer in reversed(layers):
                span = layer.span(*span)  # noqa: PLW2901 - through all layers, up to the text itself
            yield span
        for below in layers_below(shown):
            if below.text not in seen and len(seen) < _LAYERS_MAX:
                seen.add(below.text)
                waiting.append((below.text, (*layers, below)))


def _in_one(text: str, index: _Index, *, cut: bool) -> Iterator[tuple[int, int]]:
    if index.short is not None:
        yield from (match.span() for match in index.short.finditer(text))
    grams = index.grams
    if not grams or len(text) < _CUT:
        return
    done = 0
    # No text is cut out at each place: of a long page with no secret in it that was most of the time.
    fives = zip(*(text[at::_STRIDE] for at in range(_GRAM)), strict=False)
    for place in compress(range(0, len(text) - _GRAM + 1, _STRIDE), map(index.fives.__contains__, fives)):
        if place + _GRAM <= done:
            continue
        counted: set[int] = set()  # a secret that repeats itself fits in many places: one is enough
        for number, offset in grams[text[place : place + _GRAM]]:
            if number in counted:
                continue
            needle = index.long[number]
            back = _common(text[max(0, place - offset) : place][::-1], needle[:offset][::-1])
            rest = needle[offset + _GRAM :]
            ahead = _common(text[place + _GRAM : place + _GRAM + len(rest)], rest)
            begin, end = place - back, place + _GRAM + ahead
            if _counts(text, begin, end, needle, offset - back, index, cut=cut):
                yield begin, end
                done = max(done, end)
                counted.add(number)


def _common(one: str, other: str) -> int:
    """The length of the common prefix of two texts."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _counts(text: str, begin: int, end: int, needle: str, offset: int, index: _Index, *, cut: bool) -> bool:
    """Whether this span, which also occurs in the needle, is the secret or enough of it that it must be hidden."""
    length = end - begin
    if length == len(needle):
        return _is_telling(needle) or not (_in_word(text, begin - 1) or _in_word(text, end))
    at_an_end = offset == 0 or offset + length == len(needle) or length == len(text)
    if not cut or length < (_CUT if at_an_end else _INSIDE):
        return False
    if text[begin:end] in index.kept:
        return False
    for _ in range(_WORD_MAX):
        before, after = _in_word(text, begin - 1), _in_word(text, end)
        if not before and not after:
            break
        begin, end = begin - before, end + after
    whole = text[begin:end]  # `controlle` is a fragment of a secret, but not where the text has the word `controller`
    return len(whole) > _WORDS_MAX or _is_no_word(whole)


@lru_cache(maxsize=1024)  # the same fragment is met again in every file of a run
def _is_no_word(whole: str) -> bool:
    """Whether it is neither a word of ours nor made of common words."""
    return whole.casefold() not in OWN_WORDS and any(map(str.isalnum, COMMON_WORDS.sub("", whole)))


def _in_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at].isalnum()


SECRETS = Redactor()
