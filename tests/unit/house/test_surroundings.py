"""What the code may take for granted of its surroundings: no room for temporary files, no name without a space."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from house.syntax import nodes

import rollproof

CODE = Path(rollproof.__file__).parent
MAKERS = {"mkdtemp", "mkstemp", "TemporaryDirectory", "TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"}
ALLOWED = {("tempfolder.py", "mkdtemp"), ("process.py", "mkstemp")}  # each says what to do where there is no room
A_PATH = re.compile(r"path|folder|file|reports|parent")


def makers() -> Iterator[tuple[str, str]]:
    """(file, function) of each call that makes a temporary file or folder."""
    for path in CODE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and (name := getattr(node.func, "attr", "")) in MAKERS:
                yield path.name, name


def test_a_temporary_folder_is_made_in_one_place_which_says_why_there_is_none() -> None:
    """On a full disk five of these calls ended as "rollproof itself failed"."""
    assert set(makers()) == ALLOWED


def test_no_test_names_a_folder_for_temporary_files_in_the_environment_alone() -> None:
    """What its process has asked for once stays: crash logs of tests lay in /tmp, some 200 on one machine."""
    tests = Path(__file__).parents[1]
    named = re.compile(r"""(setenv|setitem)\(.*["']TMPDIR["']""")
    assert [path.name for path in tests.rglob("*.py") if named.search(path.read_text())] == ["conftest.py"]


def typed_values() -> Iterator[tuple[str, str]]:
    """(place, expression) of each value inside of backticks of a text: a command that somebody is told to type."""
    for path in CODE.rglob("*.py"):
        for node in nodes(path):
            if not isinstance(node, ast.JoinedStr):
                continue
            inside = False
            for part in node.values:
                if isinstance(part, ast.Constant):
                    inside ^= str(part.value).count("`") % 2 == 1
                elif inside and isinstance(part, ast.FormattedValue):
                    yield f"{path.relative_to(CODE)}:{node.lineno}", ast.unparse(part.value)


def test_a_command_that_a_message_names_can_be_typed_whatever_its_paths_are_called() -> None:
    """`rollproof undo my reports/...` is two words to a shell: core.commandline quotes them."""
    found = [(place, value) for place, value in typed_values() if A_PATH.search(value) and "shlex." not in value]
    assert found == []


# (file, function): where the clock of this machine is what is meant, and why
OWN_CLOCK = {
    ("faults/selfheal/runner.py", "time"): "journal entries, which are stamped by it",
    ("faults/ingress_reload.py", "time"): "a mark that nobody has used before",
    ("faults/quota_full.py", "now"): "a mark that starts a rollout",
    ("probes/jobreport.py", "time"): "the clocks are compared by it",
    ("probes/pipeline.py", "time"): "the clocks may be apart by pipeline.clock_slack_s",
}


def test_what_a_cluster_has_stamped_is_held_against_its_own_clock() -> None:
    """On a machine a minute ahead a back-off was over, a lease had ended and a sync window was not there yet."""
    read = set()
    for folder in ("faults", "probes", "preflight"):
        for path in (CODE / folder).rglob("*.py"):
            for node in nodes(path):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called in ("time.time", "datetime.now"):
                    read.add((str(path.relative_to(CODE)), called.partition(".")[2]))
    read -= {("preflight/doctor.py", "now")}  # fences.hours: whose clock, they say themselves
    assert read == set(OWN_CLOCK)
