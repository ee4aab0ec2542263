"""Mutation testing of the judging code: `make mutation`, or `python tests/mutation.py checkers.drift core.facts:find`.

The mutants are mutmut's (its operators, used as a library); the runner is ours, because mutmut 3 leaves out properties
and module constants and starts pytest anew for each mutant, which here is ten times the work. One pytest session loads
the tests once and notes which test calls which function; then, for each mutant, it forks, exchanges one function's code
(or one constant), and runs the tests of that function, the quickest first, until one fails. Nothing is written to src.

Not mutated: type annotations and aliases, `__all__`, docstrings, the layout of a row of requests, defaults of dataclass
fields, members of enums.
"""

from __future__ import annotations

import difflib
import gc
import importlib
import os
import resource
import signal
import sys
import textwrap
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import libcst as cst
import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation.file_mutation import create_mutations, deep_replace

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "rollproof"
TESTS = ("tests/unit/judge/checkers", "tests/unit/core", "tests/unit/judge/test_histories.py")
SLOW = "not never_improves and not truth_lies"  # generated histories: seconds for each mutant that survives
CPU_S = 30.0  # for all tests of one mutant: beyond it, it runs for ever, and that is noticed
KILLED_MIN = 0.95  # of all mutants: below it the judging code is not tested well enough
NOT_MUTATED = {"__all__", "Checker", "Number", "REQUEST_DTYPE"}  # names, two types, and the layout of a file


@dataclass(frozen=True)
class Mutant:
    """One change. `where` is a function's qualified name, or the constant's."""

    module: str
    where: str
    number: int
    before: str
    after: str
    constant: bool

    @property
    def change(self) -> str:
        """The changed lines, old and new."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), n=0, lineterm="")
        return "  ".join(line[0] + " " + line[1:].strip() for line in list(lines)[2:] if not line.startswith("@@"))


def mutants(path: Path) -> Iterator[Mutant]:
    """All of one file."""
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    code = path.read_text(encoding="utf-8").replace("    @property\n", "")  # mutmut passes decorated functions over
    tree, mutations, *_ = create_mutations(str(path), code)
    owners = dict(_owners(tree))
    numbers: Counter[str] = Counter()
    for mutation in mutations:
        owner = owners.get(id(mutation.original_node))
        if owner is None:
            continue
        where, node = owner
        changed = deep_replace(node, mutation.original_node, mutation.mutated_node)
        before, after = (cst.Module([one]).code.strip("\n") for one in (node, changed))  # type: ignore[list-item]
        numbers[where] += 1
        yield Mutant(module, where, numbers[where], before, after, not isinstance(node, cst.FunctionDef))


def _owners(tree: cst.Module) -> Iterator[tuple[int, tuple[str, Any]]]:
    """For each node the function, method or module constant that it is in."""
    for statement in tree.body:
        if isinstance(statement, cst.ClassDef):
            for method in statement.body.body:
                if isinstance(method, cst.FunctionDef):
                    yield from _all(method, f"{statement.name.value}.{method.name.value}")
        elif isinstance(statement, cst.FunctionDef):
            yield from _all(statement, statement.name.value)
        elif (name := _assigned(statement)) and name not in NOT_MUTATED:
            yield from _all(statement, name)


def _all(node: cst.CSTNode, name: str) -> Iterator[tuple[int, tuple[str, Any]]]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield id(current), (name, node)
        stack.extend(current.children)


def _assigned(statement: cst.CSTNode) -> str:
    first = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    target = first.targets[0].target if isinstance(first, cst.Assign) else getattr(first, "target", None)
    return target.value if isinstance(target, cst.Name) else ""


# ---- one mutant, in a process of its own ----


def exchange(mutant: Mutant) -> None:
    """Put the mutant in the place of the original, wherever it is referred to."""
    module = importlib.import_module(mutant.module)
    space = dict(module.__dict__)
    code = "from __future__ import annotations\n" + textwrap.dedent(mutant.after)
    exec(compile(code, str(module.__file__), "exec"), space)  # noqa: S102 - that is what a mutant is for
    if mutant.constant:
        _exchange_constant(module, mutant.where, space[mutant.where])
        return
    original, new = function_of(module, mutant.where), space[mutant.where.rpartition(".")[2]]
    original.__code__, original.__defaults__, original.__kwdefaults__ = (
        new.__code__,
        new.__defaults__,
        new.__kwdefaults__,
    )


def _exchange_constant(module: ModuleType, name: str, value: object) -> None:
    old = module.__dict__[name]
    for other in list(sys.modules.values()):
        if vars(other).get(name) is old:
            setattr(other, name, value)


def function_of(module: ModuleType, where: str) -> FunctionType:
    """The function that really runs: a property's getter, a method's function."""
    owner, _, name = where.rpartition(".")
    found = vars(getattr(module, owner))[name] if owner else getattr(module, name)
    found = found.fget if isinstance(found, property) else found
    assert isinstance(found, FunctionType), where
    return found


def outcome(mutant: Mutant, tests: list[pytest.Item]) -> str:
    """ "killed", "survived" or "endless"."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            return "endless" if os.WTERMSIG(status) == signal.SIGPROF else "killed"
        return "killed" if os.WEXITSTATUS(status) else "survived"
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(null, stream)
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        exchange(mutant)
        code = 0 if all(passes(test) for test in tests) else 1
    finally:
        os._exit(code)


def passes(test: pytest.Item) -> bool:
    return all(report.passed or report.skipped for report in runtestprotocol(test, log=False, nextitem=None))


# ---- the session ----


class Session:
    """A pytest plugin that runs each test once to see what it calls, and then the mutants."""

    def __init__(self, wanted: list[str]) -> None:
        self.wanted = set(wanted)
        self.callers: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
        self.took_s: dict[str, float] = {}
        self.results: dict[str, Counter[str]] = defaultdict(Counter)

    @property
    def total(self) -> Counter[str]:
        """Of all modules."""
        return sum(self.results.values(), Counter())

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own loop."""
        for test in session.items:
            self._watch(test)
        gc.freeze()  # what is here now stays: the children need not copy it
        for path in sorted([*PACKAGE.glob("core/*.py"), *PACKAGE.glob("judge/checkers/*.py")]):
            name = f"{path.parent.name}.{path.stem}"
            self._try_all(name, path)
        self._table()
        return True

    def _watch(self, test: pytest.Item) -> None:
        called: set[tuple[str, str]] = set()

        def profile(frame: Any, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
                called.add((frame.f_code.co_filename, frame.f_code.co_qualname))

        begun_s = time.process_time()
        sys.setprofile(profile)
        try:
            good = passes(test)
        finally:
            sys.setprofile(None)
        self.took_s[test.nodeid] = time.process_time() - begun_s
        if not good:
            pytest.exit(f"{test.nodeid} fails without any mutant: repair it first", returncode=2)
        for key in called | {(file, "") for file, _ in called}:
            self.callers[key].append(test)

    def _try_all(self, name: str, path: Path) -> None:
        for mutant in mutants(path):
            if self.wanted and not self.wanted & {name, f"{name}:{mutant.where}"}:
                continue
            tests = self.callers[str(path), "" if mutant.constant else mutant.where]
            tests = sorted(tests, key=lambda test: self.took_s[test.nodeid])
            said = outcome(mutant, tests) if tests else "untested"
            self.results[name][said] += 1
            if said in {"survived", "untested"}:
                print(f"{said}: {name} {mutant.where} #{mutant.number}: {mutant.change}", flush=True)
        if self.results[name]:
            print(_line(name, self.results[name]), flush=True)

    def _table(self) -> None:
        print()
        for name, counts in sorted(self.results.items()):
            print(_line(name, counts))
        print(_line("all", self.total))


def killed_share(counts: Counter[str]) -> float:
    """0 of none."""
    return (counts["killed"] + counts["endless"]) / max(1, sum(counts.values()))


def _line(name: str, counts: Counter[str]) -> str:
    mutants_, killed = sum(counts.values()), counts["killed"] + counts["endless"]
    return f"| {name} | {mutants_} | {killed} | {mutants_ - killed} | {killed_share(counts):.1%} |"


def main(wanted: list[str]) -> int:
    """Exit code 1 if too few of all mutants were killed; named modules are looked at, and not judged."""
    os.chdir(ROOT)
    options = ["-q", "-p", "no:rollproof", "-p", "no:cacheprovider", "-o", "timeout=0", "-s"]
    session = Session(wanted)
    code = int(pytest.main([*options, "-k", SLOW, *TESTS], plugins=[session]))
    if code or wanted or killed_share(session.total) >= KILLED_MIN:
        return code
    print(f"{killed_share(session.total):.1%} of all mutants were killed, and {KILLED_MIN:.0%} is the least")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
