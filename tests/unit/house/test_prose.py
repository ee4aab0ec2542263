"""Nothing decides from words that are written for people: the code itself is searched for such decisions.

What can be found reliably: a comparison with, or a search for, a text that has a space in it; and a search in a value
that is called reason, why, message, text, hint, or is the text of an exception. Causes and stages are words of
core/reasons.py, and the outcomes of the load engine are a closed list of their own (core/outcomes.py).
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from house.syntax import tree, walk

import rollproof

SOURCE = Path(rollproof.__file__).parent
PROSE = {"reason", "why", "message", "text", "hint", "sentence", "stderr", "stdout", "why_unfair", "error", "look_at"}
CODE = re.compile(r"[\w-]+([./:][\w-]*)+")  # "connect.tls", "Pod/": a word of a closed list
SEARCHES = {"startswith", "endswith", "find", "index", "rfind", "count", "removeprefix", "removesuffix"}

# (file, function): where outside software says what decides in a message only, and what that is
ALLOWED = {
    ("core/oldfacts.py", "was_kept"): "facts of old run folders",
    (
        "release/wait.py",
        "_refuse_broken_commit",
    ): "Argo CD's condition has a type, and tells what is broken in its message",
    ("release/wait.py", "_retried"): "Argo CD's operation says that it will retry in its message",
}
# where text from outside is parsed: their job is to read it
PARSERS = ("clients/", "target/file.py", "suites/")


def decisions(tree: ast.AST) -> list[tuple[str, int, str]]:
    """(function, line, code) of each decision by prose."""
    found = []
    for function in walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in walk(function):
            if isinstance(node, ast.Compare | ast.Call) and _decides(node):
                found.append((function.name, node.lineno, ast.unparse(node)))  # noqa: PERF401
    return found


def _decides(node: ast.Compare | ast.Call) -> bool:
    return _compares(node) if isinstance(node, ast.Compare) else _searches(node)


def _compares(node: ast.Compare) -> bool:
    sides = [node.left, *node.comparators]
    if any(isinstance(one, ast.In | ast.NotIn) for one in node.ops):
        return _is_sentence(node.left) or _is_prose(node.comparators[0])
    return any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops) and any(map(_is_sentence, sides))


def _searches(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in SEARCHES or not node.args:
        return False
    texts = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else [node.args[0]]
    if all(isinstance(one, ast.Constant) and CODE.fullmatch(str(one.value)) for one in texts):
        return False
    return any(map(_is_sentence, texts)) or _is_prose(node.func.value)


def _is_sentence(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip("\n")


def _is_prose(node: ast.AST) -> bool:
    """A value with a name of a text for people, str() of it, or `data.get("reason")`."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
            return _is_prose(node.args[0])
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "get" and node.args and isinstance(node.args[0], ast.Constant):
                return node.args[0].value in PROSE
            return node.func.attr in ("lower", "upper", "strip", "casefold") and _is_prose(node.func.value)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value in PROSE
    if isinstance(node, ast.Attribute):
        return node.attr in PROSE
    return isinstance(node, ast.Name) and node.id in PROSE - {"text"}


def test_a12_nothing_decides_from_prose() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        if name.startswith(PARSERS):
            continue
        found += [
            f"{name}:{line} in {function}: {code}"
            for function, line, code in decisions(tree(path))
            if (name, function) not in ALLOWED
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        'wrong = " instead of " in why',
        'only = unfair == "the last operation was for another revision"',
        'kept = str(event.data.get("reason", "")).startswith("kept")',
        'gone = "not found" in str(error)',
        'late = verdict.why.endswith("limit")',
        'moved = text.startswith("the wall clock")',
    ],
)
def test_a12_such_a_decision_is_found(code: str) -> None:
    assert decisions(ast.parse(f"def one():\n    {code}"))


@pytest.mark.parametrize(
    "code",
    ['same = data["cause"] == "Superseded"', 'pod = subject.startswith("Pod/")', 'no = cause in ("a", "b")'],
)
def test_a_word_of_a_closed_list_may_decide(code: str) -> None:
    assert not decisions(ast.parse(f"def one():\n    {code}"))
