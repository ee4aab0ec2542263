"""The table of drills, read from the drills' own markers: a new drill is one new file, and there is no other list.

A drill is a test with the marker `@pytest.mark.drill("name", load=True, …)` in a file `test_*.py` of e2e/, load/ or
chaos/: in a wheel these folders are below this package, in a checkout at its top level. The files are parsed (AST) and
never imported, because pytest is not always installed and `rollproof --help` must stay quick.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rollproof.errors import InputError
from rollproof.suites.rows import ROWS

__all__ = [
    "GROUPS", "OPTIONS", "SETS", "Drill", "chaos_drills", "drill_names", "drill_of_marker", "drill_table", "expand",
    "read_drill",
]  # fmt: skip

OPTIONS = ("trial", "on-fail", "under-load", "bad")  # options of `rollproof run` that are for some drills only
# What faults are done to, in an order in which a set of drills is safe: first what heals by itself, last what every
# other drill needs for its observations. Drills whose marker names no group come after all others.
GROUPS = (
    "read-only", "pod", "process", "config", "load", "bad-release", "database-refused", "database-dropped",
    "database-silent", "node", "gitops", "edge", "database-lost",
)  # fmt: skip
SETS = ("all", "smoke", "chaos")  # the words that name several drills, in their order
_FOLDERS = ("e2e", "load", "chaos")
_PACKAGED = Path(__file__).parent
_NUMBER, _FLAG, _TEXT = (int, None, "of type int"), (bool, None, "of type bool"), (str, None, "of type str")
_NUMBERS, _TEXTS = (tuple, int, "a tuple of numbers"), (tuple, str, "a tuple of strings")
# What a marker may set: its type, that of its parts, and both in words.
_SETTINGS: Mapping[str, tuple[type[Any], type[Any] | None, str]] = {
    "all": _NUMBER, "smoke": _NUMBER, "rows": _NUMBERS, "load": _FLAG, "deploys": _FLAG, "reverts": _FLAG,
    "alone": _FLAG, "read_only": _FLAG, "reads": _TEXTS, "faults": _TEXTS, "options": _TEXTS, "group": _TEXT,
}  # fmt: skip
_EXAMPLE = 'for example @pytest.mark.drill("pod-delete", load=True, faults=("pod-delete",))'


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill, as its marker and its test say. All but `name` may be left out of the marker.

    `all`, `smoke`: its place in what the word `all`, or `smoke`, runs, from 1; 0 where it is not part of that.
    `rows`: what it proves, by numbers of `suites.rows.ROWS`; docs/rows.md says where each was proven last.
    `load`: it always sends requests, so that the load generator must be installed.
    `deploys`: it brings a version; `reverts`: it takes the version that was brought back, with a git revert.
    `reads`: what it reads beside what every run does, by names in `preflight.readings`. A drill that does nothing else
    changes nothing that anybody could feel.
    `faults`: the faults that it injects, by their names in `rollproof.faults`; `chaos` runs such drills.
    `group`: what its faults are done to, of GROUPS: it orders the drills of `chaos`.
    `read_only`: it changes nothing, so that it takes no lock and asks Argo CD for nothing.
    `alone`: it has a run of its own; where pytest is given a whole folder, it is left out.
    `options`: the options of the command line that are for this drill and few others, of OPTIONS.
    """

    name: str
    all: int = 0
    smoke: int = 0
    rows: tuple[int, ...] = ()
    load: bool = False
    deploys: bool = False
    reverts: bool = False
    alone: bool = False
    read_only: bool = False
    reads: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    group: str = ""
    options: tuple[str, ...] = ()
    path: Path = field(default=Path(), compare=False)
    line: int = field(default=0, compare=False)  # of the test, counted from 1
    summary: str = field(default="", compare=False)  # the first line of the test's docstring

    @property
    def drifts(self) -> bool:
        """Does it inject the trials of `drift.trials`?"""
        return "trial" in self.options

    @property
    def releases_bad(self) -> bool:
        """Whether it releases a known-bad version, one of `release.bad`."""
        return "bad" in self.options

    @property
    def keeps(self) -> bool:
        """Does its release stay deployed if it passes?"""
        return "on-fail" in self.options

    @property
    def file(self) -> str:
        """Its file below the repository, as a report names it."""
        return f"{self.path.parent.name}/{self.path.name}"


def drill_table() -> Mapping[str, Drill]:
    """Every drill by its name, those of `all` first. InputError names the first file that is broken."""
    return _table(_root())


def drill_names() -> tuple[str, ...]:
    """The names for help and completion. Never raises: empty while a file is broken."""
    try:
        return tuple(drill_table())
    except InputError:
        return ()


def expand(word: str) -> tuple[str, ...]:
    """The drills that a word names: itself, or those of a word of SETS, in their order."""
    table = drill_table()
    if word == "all":
        return tuple(drill.name for drill in table.values() if drill.all)
    if word == "smoke":
        chosen = sorted((drill for drill in table.values() if drill.smoke), key=lambda drill: (drill.smoke, drill.name))
        return tuple(drill.name for drill in chosen)
    if word == "chaos":
        return chaos_drills()
    if word not in table:
        raise InputError(f"there is no drill {word!r}", _nearest(word, [*table, *SETS]))
    return (word,)


def chaos_drills(chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """The drills that inject faults, or those chosen by name, in the order of their groups.

    Not those that deploy: a run brings one version, so that each of them has a run of its own, as others that say so.

    InputError, with the nearest name, if a chosen one is none of them.
    """
    known = [drill for drill in drill_table().values() if drill.faults and not drill.deploys and not drill.alone]
    names = [drill.name for drill in sorted(known, key=lambda drill: (_place(drill), drill.name))]
    for name in chosen:
        if name not in names:
            raise InputError(f"there is no chaos drill {name!r}", _nearest(name, names))
    return tuple(name for name in names if not chosen or name in chosen)


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _place(drill: Drill) -> int:
    return GROUPS.index(drill.group) if drill.group else len(GROUPS)


def _root() -> Path:
    """The folder that holds e2e/, load/ and chaos/."""
    for root in (_PACKAGED, _PACKAGED.parents[2]):
        if all((root / folder).is_dir() for folder in _FOLDERS):
            return root
    raise InputError(f"the drills are missing: no folders {', '.join(_FOLDERS)}", "install rollproof again")


@cache
def _table(root: Path) -> Mapping[str, Drill]:
    found = [read_drill(path) for folder in _FOLDERS for path in sorted((root / folder).glob("test_*.py"))]
    table: dict[str, Drill] = {}
    for drill in sorted(found, key=lambda drill: (drill.all or len(found) + 1, drill.name)):
        if drill.name in table:
            raise InputError(f"two drills are named {drill.name!r}: {table[drill.name].file} and {drill.file}")
        table[drill.name] = drill
    return MappingProxyType(table)


def read_drill(path: Path) -> Drill:
    """The one drill of a file. InputError, with file and line, if there is none, or its marker is broken."""
    try:
        tests = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    marked = [(test, marker) for test in tests for marker in _drill_markers(test)]
    if len(marked) != 1:
        message = f"{path} has {len(marked)} tests with the marker `drill`, and needs exactly one"
        raise InputError(message, _EXAMPLE)
    test, marker = marked[0]
    where = f"{path}:{marker.lineno}"
    try:
        words = [ast.literal_eval(argument) for argument in marker.args]
        settings = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in marker.keywords}
    except ValueError:
        raise InputError(f"{where}: the marker `drill` takes literals only, so that it can be read", _EXAMPLE) from None
    return drill_of_marker(words, settings, where=where, path=path, line=test.lineno, doc=ast.get_docstring(test) or "")


def _drill_markers(test: ast.FunctionDef) -> list[ast.Call]:
    calls = [node for node in test.decorator_list if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) == "pytest.mark.drill"]


def drill_of_marker(
    words: Sequence[Any], settings: Mapping[str, Any], *, where: str, path: Path, line: int, doc: str
) -> Drill:
    """The drill that a marker describes by its arguments; `where` is the place that an InputError names."""
    if len(words) != 1 or not isinstance(words[0], str) or not words[0]:
        raise InputError(f"{where}: the marker `drill` takes one name", _EXAMPLE)
    for name, value in settings.items():
        if name not in _SETTINGS:
            raise InputError(f"{where}: the marker `drill` knows no {name!r}", f"it knows {', '.join(_SETTINGS)}")
        kind, part, wanted = _SETTINGS[name]
        if type(value) is not kind or (part and not all(type(one) is part for one in value)):
            raise InputError(f"{where}: {name} of the marker `drill` must be {wanted}, and is {value!r}", _EXAMPLE)
    unknown = [option for option in settings.get("options", ()) if option not in OPTIONS]
    if unknown:
        raise InputError(f"{where}: there is no option {unknown[0]!r} for a drill", f"known: {', '.join(OPTIONS)}")
    if strange := set(settings.get("rows", ())) - set(ROWS):
        raise InputError(f"{where}: there is no row {min(strange)}", "src/rollproof/suites/rows.py has them")
    if (group := settings.get("group", "")) and group not in GROUPS:
        raise InputError(f"{where}: there is no group {group!r} of drills", f"known: {', '.join(GROUPS)}")
    if settings.get("alone") and (settings.get("all") or settings.get("smoke")):
        message = f"{where}: a drill that is `alone` has a run of its own, so that it is no part of `all` or `smoke`"
        raise InputError(message, "take `alone` or the place away")
    return Drill(name=words[0], path=path, line=line, summary=doc.strip().partition("\n")[0], **settings)
