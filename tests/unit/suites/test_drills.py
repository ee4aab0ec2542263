"""The table of drills: it says what pytest collects, a new file is enough, and a broken one is one clear error."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from forked import run_module
from house.syntax import nodes, source

from rollproof import cli, suites
from rollproof.errors import InputError
from rollproof.judge.checkers import CHECKERS
from rollproof.suites import Drill, drill_names, drill_table, expand, read_drill

ROOT = Path(__file__).resolve().parents[3]
SOUND = '''
import pytest

@pytest.mark.drill("pod-delete", load=True, faults=("pod-delete",))
def test_a_pod_goes(run):
    """One pod is deleted.

    More.
    """
'''
LISTED = """
import json
def pytest_collection_finish(session):
    marks = [(item, item.get_closest_marker("drill")) for item in session.items]
    found = [[mark.args[0], mark.kwargs, item.name, str(item.path)] for item, mark in marks if mark]
    print("FOUND", json.dumps(found), len(session.items))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("e2e", "load", "chaos"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(suites, "_PACKAGED", tmp_path)
    return tmp_path


@pytest.mark.processes
def test_the_table_is_what_pytest_collects(tmp_path: Path) -> None:
    (tmp_path / "listing.py").write_text(LISTED)
    words = ["-q", "--collect-only", "-p", "rollproof.plugin", "-p", "listing", "-p", "no:cacheprovider", "-s"]
    ended = run_module(
        "pytest", *words, "--rollproof-target", "t.toml", "e2e", "load", "chaos", cwd=ROOT,
        environ={"PYTHONPATH": str(tmp_path), "PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("FOUND ")]
    found, count = line.removeprefix("FOUND ").rsplit(" ", 1)
    collected = {}
    for name, settings, test, path in json.loads(found):
        marker = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
        collected[name] = (Drill(name=name, **marker), Path(path), f"def {test}(")
    read = {
        name: (drill, drill.path, drill.path.read_text().splitlines()[drill.line - 1].partition("(")[0] + "(")
        for name, drill in drill_table().items()
        if not drill.alone  # left out where a whole folder is named
    }
    assert read == collected
    assert len(collected) == int(count), "a test in a folder of drills that is no drill"


def test_what_all_runs_and_in_which_order() -> None:
    assert expand("all") == ("zero-downtime", "pod-delete", "drift", "rollback")
    assert expand("release") == ("release",)
    assert drill_names()[:4] == expand("all")


def test_what_smoke_runs_and_in_which_order() -> None:
    chosen = expand("smoke")
    assert chosen[:3] == ("posture", "secrets", "jobs"), "what reads only comes first"
    assert sum(drill_table()[name].deploys for name in chosen) <= 1, "a run brings one version"


@pytest.mark.parametrize("drill", drill_table().values(), ids=lambda drill: drill.name)
def test_a_marker_says_what_the_test_asks_for(drill: Drill) -> None:
    (test,) = (node for node in ast.parse(drill.path.read_text()).body if isinstance(node, ast.FunctionDef))
    asked = {argument.arg for argument in test.args.args}
    assert (drill.load or "under-load" in drill.options) is ("traffic" in asked)
    assert drill.deploys is ("release" in asked)
    assert drill.drifts is ("drift" in asked)
    assert drill.summary.endswith(".")


@pytest.mark.parametrize("drill", drill_table().values(), ids=lambda drill: drill.name)
def test_a_drill_asks_checkers_that_there_are(drill: Drill) -> None:
    """Else that is noticed at its end, on a cluster, when all has been done."""
    calls = [node for node in ast.walk(ast.parse(drill.path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    judged = [call for call in calls if ast.unparse(call.func) == "run.judge"]
    asked = {word.value for call in judged for word in call.args if isinstance(word, ast.Constant)}
    assert asked, "a drill that judges nothing"
    assert asked <= set(CHECKERS)


def test_a_new_drill_is_one_new_file(folder: Path) -> None:
    (folder / "chaos" / "test_pod_delete.py").write_text(SOUND)
    (folder / "load" / "engine.py").write_text("import locust")  # no drill, and not read
    assert expand("pod-delete") == drill_names() == ("pod-delete",)
    drill = drill_table()["pod-delete"]
    assert (drill.load, drill.deploys, drill.faults, drill.line) == (True, False, ("pod-delete",), 5)
    assert (drill.summary, drill.file) == ("One pod is deleted.", "chaos/test_pod_delete.py")


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("pytest.mark.drill", "pytest.mark.skip", "has 0 tests with the marker `drill`"),
        ("def test_a_pod", '@pytest.mark.drill("x")\ndef test_b(): ...\n\n\ndef test_a_pod', "has 2 tests with the"),
        ('"pod-delete", load', "load", "takes one name"),
        ('"pod-delete", load', "3, load", "takes one name"),
        ('"pod-delete", load', "NAME, load", "takes literals only"),
        ("load=True", "loads=True", "knows no 'loads'"),
        ("load=True", "load=1", "load of the marker `drill` must be of type bool, and is 1"),
        ("load=True", 'rows=("5",)', "rows of the marker `drill` must be a tuple of numbers"),
        ("load=True", "rows=(5, 18)", "there is no row 18"),
        ("load=True", "alone=True, smoke=1", "is no part of `all` or `smoke`"),
        ("load=True", "**MORE", "takes literals only"),
        ("load=True", "all=True", "all of the marker `drill` must be of type int"),
        ('("pod-delete",))', '("pod-delete"))', "faults of the marker `drill` must be a tuple of strings"),
        ('("pod-delete",))', "(1,))", "must be a tuple of strings"),
        ("load=True", 'options=("trail",)', "there is no option 'trail' for a drill"),
        ("load=True", 'group="pods"', "there is no group 'pods' of drills"),
        ("(run):", "(run)", "cannot be read"),
    ],
)
def test_a_broken_marker_is_one_clear_error(folder: Path, was: str, now: str, said: str) -> None:
    path = folder / "chaos" / "test_pod_delete.py"
    assert was in SOUND
    path.write_text(SOUND.replace(was, now))
    with pytest.raises(InputError, match=f"test_pod_delete.py.*{said.replace('(', '.')}"):
        expand("all")
    assert drill_names() == ()  # help and completion do not fail for it


def test_two_drills_of_one_name(folder: Path) -> None:
    (folder / "chaos" / "test_pod_delete.py").write_text(SOUND)
    (folder / "load" / "test_pod_delete.py").write_text(SOUND)
    with pytest.raises(InputError, match=r"two drills are named .pod-delete."):
        expand("pod-delete")


def test_help_names_every_drill(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.app(["run", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for drill in drill_table().values():
        assert f"{drill.name} {drill.summary}" in said


def test_no_other_list_of_drills() -> None:
    """Two drills' names on one line of code are the begin of a second list."""
    found, others = [], {*drill_table()} - {"zero-downtime"}
    for path in [*(ROOT / "src" / "rollproof").rglob("*.py"), *(ROOT / "lab").rglob("*.py")]:
        if path.name == "ownwords.py" or "zero-downtime" not in source(path):  # the former has every word of the facts
            continue
        for node in nodes(path):
            if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Call):
                words = {getattr(child, "value", None) for child in ast.iter_child_nodes(node)}
                # "drift", "rollback" and "release" are sources of facts and checkers too
                if "zero-downtime" in words and words & others:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found


def test_a_file_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_drill(tmp_path / "test_nothing.py")


MARK = '@pytest.mark.drill("{name}", {more}faults=("{name}",))\ndef test_it(run): ...\n'


class TestChaos:
    """The word `chaos`: every drill that injects a fault, in the order of the groups that the markers declare."""

    @pytest.fixture(autouse=True)
    def _drills(self, folder: Path) -> None:
        for name, group in {"a-dns": "edge", "b-node": "node", "z-pod": "pod", "y-pod": "pod", "a-new": ""}.items():
            more = f'group="{group}", ' if group else ""
            (folder / "chaos" / f"test_{name}.py").write_text(MARK.format(name=name, more=more))
        (folder / "chaos" / "test_drift.py").write_text('@pytest.mark.drill("drift")\ndef test_it(run): ...\n')

    def test_it_is_safe_in_that_order(self) -> None:
        assert expand("chaos") == ("y-pod", "z-pod", "b-node", "a-dns", "a-new")

    def test_chosen_ones_keep_it(self) -> None:
        assert suites.chaos_drills(["a-dns", "z-pod", "a-dns"]) == ("z-pod", "a-dns")

    @pytest.mark.parametrize(
        ("name", "hint"), [("b-nodes", "did you mean 'b-node'?"), ("drift", "known: y-pod, z-pod")]
    )
    def test_what_is_none_is_named_with_the_nearest(self, name: str, hint: str) -> None:
        with pytest.raises(InputError, match=f"there is no chaos drill {name!r}") as caught:
            suites.chaos_drills([name])
        assert hint in caught.value.hint

    def test_a_group_that_is_none_is_refused(self, folder: Path) -> None:
        (folder / "chaos" / "test_x.py").write_text(MARK.format(name="x", more='group="pods", '))
        with pytest.raises(InputError, match="there is no group 'pods' of drills"):
            expand("chaos")


@pytest.mark.parametrize("drill", [one for one in drill_table().values() if one.faults], ids=lambda one: one.name)
def test_a_drill_with_faults_says_what_they_are_done_to(drill: Drill) -> None:
    assert drill.group, f"{drill.file}: name a group in the marker, one of {', '.join(suites.GROUPS)}"
