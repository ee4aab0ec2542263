"""Mutation testing of the judging code: `make mutation`, or `python tests/mutation.py checkers.drift core.facts:find`.

`--sample 800 --seed 1` takes so many by chance, of all mutants or of those of the modules that are named, and says
between which bounds the share killed of all of them is. The order is by chance too: what was tried until Ctrl-C is a
sample. Where it must be quick, `--most 300` gives each 300 tests of its place: the share is then a little
too low.

The mutants are mutmut's (its operators, used as a library); the runner is ours, because mutmut 3 leaves out properties
and module constants and starts pytest anew for each mutant, which here is ten times the work. One pytest session loads
the tests once and notes which test calls which function; then, for each mutant, it forks, exchanges one function's code
(or one constant), and runs the tests of that function, the quickest first, until one fails. Nothing is written to src.

Not mutated: what Python reads alike (`1e18` and `1e+18`), type annotations and aliases, `__all__`, docstrings, the
layout of a row of requests, defaults of dataclass fields, members of enums.
"""

from __future__ import annotations

import argparse
import ast
import cProfile
import difflib
import gc
import importlib
import os
import random
import resource
import signal
import sys
import textwrap
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal, get_origin

import libcst as cst
import pytest
from _pytest.tmpdir import tmppath_result_key
from mutmut.mutation.file_mutation import Mutation, create_mutations, deep_replace

from rollproof.core.binomial import rate_bound

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "rollproof"
TESTS = (
    "tests/unit/judge/checkers",
    "tests/unit/core",
    "tests/unit/judge/test_histories.py",
    "tests/unit/judge/test_judging.py",
    "tests/unit/judge/test_ranking.py",
    "tests/unit/judge/test_silence.py",
    "tests/unit/house/test_causecodes.py",
    # what of core/ is for other layers is tested with these
    "tests/unit/faults/selfheal/test_windows.py",
    "tests/unit/preflight/test_permissions.py",
    "tests/unit/preflight/test_roles.py",
    "tests/unit/probes/test_jobreport.py",
    "tests/unit/probes/test_keeping.py",
    "tests/unit/probes/test_secretsearch.py",
    "tests/unit/redaction/test_redaction.py",
    "tests/unit/reports/test_history.py",
    "tests/unit/run/test_gate.py",
    "tests/unit/store/test_damaged_journal.py",
    "tests/unit/target/test_declared.py",
    "tests/unit/target/test_pipeline_rules.py",
    "tests/unit/test_matrix.py",
)
# seconds for each mutant that survives; what these alone would notice counts as alive
SLOW = "not never_improves and not truth_lies and not strangers_change_nothing and not two_hundred_nights"
CPU_S = 30.0  # for all tests of one mutant: beyond it, it runs for ever, and that is noticed
WAIT_S = 1800.0  # the same for one that waits for ever, on a machine with more to do
KILLED_MIN = 0.95  # of all mutants: below it the judging code is not tested well enough
NOT_MUTATED = {"__all__", "REQUEST_DTYPE", "T", "_Item"}  # names, type variables, and the layout of a file


@dataclass(frozen=True)
class Mutant:
    """One change. `where` is a function's qualified name, or the constant's."""

    module: str
    file: str
    where: str
    number: int
    node: Any  # the whole function or statement
    mutation: Mutation

    @property
    def constant(self) -> bool:
        """Not a function."""
        return not isinstance(self.node, cst.FunctionDef)

    @cached_property
    def after(self) -> str:
        """The function's or statement's new text."""
        return _code(deep_replace(self.node, self.mutation.original_node, self.mutation.mutated_node))

    @property
    def change(self) -> str:
        """The changed lines, old and new."""
        before, after = _code(self.node).splitlines(), self.after.splitlines()
        lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
        return "  ".join(line[0] + " " + line[1:].strip() for line in lines if not line.startswith("@@"))


def _code(node: Any) -> str:
    return cst.Module([node]).code.strip("\n")


def modules() -> Iterator[tuple[str, Path]]:
    """The judging code, by the names that the table has."""
    for folder in (PACKAGE / "core", PACKAGE / "judge" / "checkers"):
        for path in sorted(folder.rglob("*.py")):
            yield ".".join(path.relative_to(folder.parent).with_suffix("").parts), path


def mutants(path: Path) -> Iterator[Mutant]:
    """All of one file."""
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    code = path.read_text(encoding="utf-8").replace("    @property\n", "")  # mutmut passes decorated functions over
    tree, mutations, *_ = create_mutations(str(path), code)
    owners = dict(_owners(tree, aliases_of(importlib.import_module(module))))
    numbers: Counter[str] = Counter()
    for mutation in mutations:
        owner = owners.get(id(mutation.original_node))
        if owner is not None:
            where, node = owner
            numbers[where] += 1
            if same_program(mutation.original_node, mutation.mutated_node):
                continue
            yield Mutant(module, str(path), where, numbers[where], node, mutation)


def same_program(before: cst.CSTNode, after: cst.CSTNode) -> bool:
    """Whether Python reads both alike (`1e18`, `1e+18`): no mutant, as no test of any kind could notice it.

    Equality after compiling, "trivial compiler equivalence": Papadakis and others, ICSE 2015.
    """
    try:
        trees = [
            ast.dump(ast.parse(cst.Module([]).code_for_node(node).strip(), mode="eval")) for node in (before, after)
        ]
    except SyntaxError:  # not an expression by itself
        return False
    return trees[0] == trees[1]


def aliases_of(module: ModuleType) -> set[str]:
    """The names of types: nobody calls them, mypy reads them."""
    return {name for name, value in vars(module).items() if get_origin(value) is not None}


def _owners(tree: cst.Module, aliases: set[str]) -> Iterator[tuple[int, tuple[str, Any]]]:
    """For each node the function, method or module constant that it is in."""
    for statement in tree.body:
        if isinstance(statement, cst.ClassDef):
            for method in statement.body.body:
                if isinstance(method, cst.FunctionDef):
                    yield from _all(method, f"{statement.name.value}.{method.name.value}")
        elif isinstance(statement, cst.FunctionDef):
            yield from _all(statement, statement.name.value)
        elif (name := _assigned(statement)) and name not in NOT_MUTATED | aliases:
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
        known = users(module, mutant.where)
        _exchange_constant(module, mutant.where, space[mutant.where])
        for one in known:
            if str(getattr(one, "__file__", "")).startswith(str(PACKAGE)):
                _derive(one, mutant.where)
        return
    original, new = function_of(module, mutant.where), space[mutant.where.rpartition(".")[2]]
    original.__code__, original.__defaults__, original.__kwdefaults__ = (
        new.__code__,
        new.__defaults__,
        new.__kwdefaults__,
    )


def _exchange_constant(module: ModuleType, name: str, value: object) -> None:
    for other in users(module, name):
        setattr(other, name, value)


def _derive(module: ModuleType, name: str) -> None:
    """A module's constants that are made of this one are made again."""
    changed = {name}
    for statement in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            named = {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}
            if isinstance(target, ast.Name) and target.id not in changed and named & changed:
                value = eval(compile(ast.Expression(statement.value), "derived", "eval"), dict(vars(module)))  # noqa: S307
                _exchange_constant(module, target.id, value)
                changed.add(target.id)


def users(module: ModuleType, name: str) -> list[ModuleType]:
    """Those that know this constant, the one that makes it among them."""
    value = vars(module)[name]
    return [other for other in list(sys.modules.values()) if vars(other).get(name, users) is value]


def _knows(test: ModuleType, known: list[ModuleType]) -> bool:
    """Whether a test's module is one of them, or can read the constant in one (`versions.PAIRS`)."""
    return any(one is test or one in _imported(test) for one in known)


def _imported(test: ModuleType) -> list[ModuleType]:
    return [value for value in vars(test).values() if isinstance(value, ModuleType)]


def function_of(module: ModuleType, where: str) -> FunctionType:
    """The function that really runs: a property's getter, a method's function."""
    owner, _, name = where.rpartition(".")
    found = vars(getattr(module, owner))[name] if owner else getattr(module, name)
    found = found.fget if isinstance(found, property) else found
    assert isinstance(found, FunctionType), where
    return found


def outcome(mutant: Mutant, tests: list[pytest.Item]) -> str:
    """ "killed", "survived" or "endless"."""
    return ended(begun(mutant, tests))


def ended(pid: int) -> str:
    """What became of it."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "endless" if os.WTERMSIG(status) in {signal.SIGPROF, signal.SIGALRM} else "killed"
    return "killed" if os.WEXITSTATUS(status) else "survived"


def begun(mutant: Mutant | None, tests: list[pytest.Item]) -> int:
    """The process that runs the tests. Without a mutant all must pass."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(null, stream)
        if mutant is not None:
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            signal.setitimer(signal.ITIMER_REAL, WAIT_S)
            _, most = resource.getrlimit(resource.RLIMIT_AS)  # of the caller; to ask for more would be an error
            size = 8 << 30 if most == resource.RLIM_INFINITY else min(8 << 30, most)
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
            exchange(mutant)
        code = 0 if all(passes(test) for test in tests) else 1
    finally:
        os._exit(code)


def passes(test: Any) -> bool:
    """Without pytest's report of a failure, which takes longer than most tests."""
    test._initrequest()  # as for a test that is tried again: it has run once already
    test.stash[tmppath_result_key] = {}  # `tmp_path` wants to know at its end how the test went, from the report
    hooks = test.ihook
    raised = _raised("setup", lambda: hooks.pytest_runtest_setup(item=test))
    if raised is None:
        raised = _raised("call", lambda: hooks.pytest_runtest_call(item=test))
    after = _raised("teardown", lambda: hooks.pytest_runtest_teardown(item=test, nextitem=None))
    return all(one is None or one.errisinstance(pytest.skip.Exception) for one in (raised, after))


def _raised(when: Literal["setup", "call", "teardown"], hook: Callable[[], object]) -> Any:
    return pytest.CallInfo.from_call(hook, when=when, reraise=(pytest.exit.Exception, KeyboardInterrupt)).excinfo


# ---- the session ----


class Session:
    """A pytest plugin that runs each test once to see what it calls, and then the mutants."""

    def __init__(self, wanted: list[str], sample: int = 0, seed: int = 0, most: int | None = None) -> None:
        self.wanted, self.sample, self.seed, self.most = set(wanted), sample, seed, most
        self.callers: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
        self.tests: list[Any] = []
        self.took_s: dict[str, float] = {}
        self.results: dict[str, Counter[str]] = defaultdict(Counter)
        self.of = 0  # so many mutants there are

    @property
    def total(self) -> Counter[str]:
        """Of all modules."""
        return sum(self.results.values(), Counter())

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own loop."""
        self.tests = session.items
        for test in session.items:
            self._watch(test)
        once_more = begun(None, session.items)
        tried = self._sample() if self.sample else self._all()
        if ended(once_more) != "survived":
            pytest.exit("a test fails when it runs once more, without any mutant: it would kill them all", returncode=2)
        gc.freeze()  # what is here now stays: the children need not copy it
        try:
            for count, (name, mutant) in enumerate(tried, 1):
                self._try(name, mutant)
                if self.sample and not count % 50:
                    print(_line(f"the first {count}", self.total), flush=True)
        finally:
            self._table()
        return True

    def _all(self) -> Iterator[tuple[str, Mutant]]:
        for name, path in modules():
            parts = {part.partition(":")[0] for part in self.wanted}
            if parts and name not in parts:
                continue
            for mutant in mutants(path):
                if not self.wanted or self.wanted & {name, f"{name}:{mutant.where}"}:
                    self.of += 1
                    yield name, mutant
            if self.results[name] and not self.sample:
                print(_line(name, self.results[name]), flush=True)

    def _sample(self) -> list[tuple[str, Mutant]]:
        """In an order by chance. Which mutants there are has to be known before: half a minute for all modules."""
        every = list(self._all())
        return random.Random(self.seed).sample(every, min(self.sample, len(every)))  # noqa: S311 - no secret

    def _watch(self, test: pytest.Item) -> None:
        watch = cProfile.Profile(builtins=False)  # written in C: a third of the time that `sys.settrace` takes
        begun_s = time.process_time()
        watch.enable()
        try:
            good = passes(test)
        finally:
            watch.disable()
        self.took_s[test.nodeid] = time.process_time() - begun_s
        if not good:
            pytest.exit(f"{test.nodeid} fails without any mutant: repair it first", returncode=2)
        called = [entry.code for entry in watch.getstats()]
        own = [one for one in called if isinstance(one, CodeType) and one.co_filename.startswith(str(PACKAGE))]
        for key in {(code.co_filename, name) for code in own for name in (code.co_qualname, "")}:
            self.callers[key].append(test)

    def _tests(self, mutant: Mutant) -> list[pytest.Item]:
        """Those of its module's test file and the golden verdicts first, then the quickest. A constant's are those that
        call a function of a module that knows it, or know it or its module."""
        keys, found = [(mutant.file, mutant.where)], list[Any]()
        if mutant.constant:
            known = users(importlib.import_module(mutant.module), mutant.where)
            keys = [(str(module.__file__), "") for module in known]
            found = [test for test in self.tests if _knows(test.module, known)]
        found += [test for key in keys for test in self.callers.get(key, [])]
        own = [f"/test_{part}.py" for part in mutant.module.split(".")[2:]] + ["/test_expected_verdicts.py"]

        def order(test: pytest.Item) -> tuple[bool, float]:
            return not any(file in test.nodeid for file in own), self.took_s[test.nodeid]

        return sorted({test.nodeid: test for test in found}.values(), key=order)[: self.most]

    def _try(self, name: str, mutant: Mutant) -> None:
        tests = self._tests(mutant)
        said = outcome(mutant, tests) if tests else "untested"
        self.results[name][said] += 1
        if said in {"survived", "untested"}:
            print(f"{said}: {name} {mutant.where} #{mutant.number}: {mutant.change}", flush=True)

    def _table(self) -> None:
        print("\n| module | mutants | killed | alive | |\n|---|---|---|---|---|")
        for name, counts in sorted(self.results.items()):
            if counts:
                print(_line(name, counts))
        print(_line("all", self.total))
        if self.sample:
            low, high = interval(self.total)
            print(
                f"seed {self.seed}: of {self.of} mutants, 95 % interval (Clopper and Pearson) {low:.1%} to {high:.1%}"
            )


def interval(counts: Counter[str]) -> tuple[float, float]:
    """Between these is the share killed of all mutants, of which a sample has been tried: exact, 95 %."""
    killed, tried = counts["killed"] + counts["endless"], sum(counts.values())
    return 1.0 - rate_bound(tried - killed, tried, 0.025), rate_bound(killed, tried, 0.025)


def killed_share(counts: Counter[str]) -> float:
    """0 of none."""
    return (counts["killed"] + counts["endless"]) / max(1, sum(counts.values()))


def _line(name: str, counts: Counter[str]) -> str:
    mutants_, killed = sum(counts.values()), counts["killed"] + counts["endless"]
    return f"| {name} | {mutants_} | {killed} | {mutants_ - killed} | {killed_share(counts):.1%} |"


def main(words: list[str]) -> int:
    """Exit code 1 if too few of all mutants were killed; named modules are looked at, and not judged."""
    parser = argparse.ArgumentParser(prog="tests/mutation.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wanted", nargs="*", metavar="MODULE", help="checkers.drift, or core.facts:find")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many, by chance; 0 is all")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="which sample")
    parser.add_argument(
        "--most", type=int, metavar="N", help="tests for each, the quickest; what others notice is alive"
    )
    said = parser.parse_args(words)
    os.chdir(ROOT)
    options = ["-q", "-p", "no:rollproof", "-p", "no:cacheprovider", "-o", "timeout=0", "-s"]
    session = Session(said.wanted, said.sample, said.seed, said.most)
    code = int(pytest.main([*options, "-k", SLOW, *TESTS], plugins=[session]))
    if code or said.wanted or killed_share(session.total) >= KILLED_MIN:
        return code
    print(f"{killed_share(session.total):.1%} of all mutants were killed, and {KILLED_MIN:.0%} is the least")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
