"""`tests/workers.py`: each test is run once, somewhere, and what is not heard of is no success."""

from __future__ import annotations

from pathlib import Path

import pytest
from forked import run_module

from tests.workers import shares

ROOT = Path(__file__).parents[2]
PLUGINS = ("rollproof", "cacheprovider", "allure_pytest")
FILE = """
import os, pathlib, pytest
HERE = pathlib.Path("ran")
@pytest.fixture(scope="module")
def module():
    yield
    with HERE.open("a") as file: file.write("teardown\\n")
@pytest.mark.parametrize("number", range({count}))
def test_it(number, module, tmp_path, capfd):
    with HERE.open("a") as file: file.write(f"{{os.getpid()}} {{tmp_path}}\\n")
    os.write(1, b"out")
    assert capfd.readouterr().out == "out"
"""


def run(folder: Path, *words: str, workers: int = 2) -> tuple[int, str]:
    plugins = [word for name in PLUGINS for word in ("-p", f"no:{name}")]
    done = run_module(
        "pytest", "-p", "tests.workers", "--workers", str(workers), *plugins, *words, cwd=folder,
        environ={"PATH": "", "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_shares_are_files_and_parts_of_long_ones_and_small_at_the_end() -> None:
    assert list(shares("aaabbbbbbb", most=3, last=1)) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert list(shares("")) == []
    house = [f"tests/unit/house/test_{name}.py::test_{number}" for name in "ab" for number in range(3)]
    assert list(shares([*house, "c"], most=2)) == [(0, 6), (6, 7)]


def test_each_test_is_run_once_in_a_process_of_its_own_folder(tmp_path: Path) -> None:
    for name, count in (("a", 70), ("b", 3), ("c", 2)):
        (tmp_path / f"test_{name}.py").write_text(FILE.format(count=count))
    code, said = run(tmp_path)
    assert code == 0, said
    assert "75 passed" in said
    ran = (tmp_path / "ran").read_text().splitlines()
    folders = [line.split()[1] for line in ran if line != "teardown"]
    assert len(folders) == len(set(folders)) == 75
    assert 3 <= ran.count("teardown") <= 4, "the fixtures of a file are made in each worker that has a part of it"


def test_what_fails_is_told_as_without_workers(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest, warnings\n"
        "def test_red():\n    print('it said')\n    left, right = 1, 2\n    assert left == right\n"
        "def test_skipped(): pytest.skip('why not')\n"
        "def test_warns(): warnings.warn('beware')\n"
        "@pytest.fixture\ndef broken(): raise OSError('no fixture')\n"
        "def test_error(broken): pass\n"
        "@pytest.mark.xfail(strict=True)\ndef test_xpass(): pass\n"
    )
    code, said = run(tmp_path, "-rs")
    assert code == 1
    for text in ("assert 1 == 2", "it said", "why not", "beware", "no fixture", "XPASS(strict)"):
        assert text in said
    assert "2 failed, 1 passed, 1 skipped, 1 warning, 1 error" in said


def test_a_worker_that_dies_is_named_with_its_test_and_what_it_did_not_run_is_counted(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import os, signal\ndef test_first(): pass\ndef test_dies(): os.kill(os.getpid(), signal.SIGKILL)\n"
        "def test_never(): pass\n"
    )
    (tmp_path / "test_b.py").write_text("def test_other(): pass\n")
    code, said = run(tmp_path, workers=1)
    assert code == 1
    assert "FAILED test_a.py::test_dies - worker 0 ended in this test, or between it and the next: SIGKILL" in said
    assert "3 tests did not end, one of them test_a.py::test_dies" in said


def test_a_worker_that_cannot_end_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_it(): pass\n")
    (tmp_path / "conftest.py").write_text(
        "import os\nMAIN = os.getpid()\ndef pytest_sessionfinish():\n    assert os.getpid() == MAIN, 'cannot end'\n"
    )
    code, said = run(tmp_path)
    assert code == pytest.ExitCode.INTERNAL_ERROR
    assert "failed, and no test of it" in said
    assert "cannot end" in said


def test_the_first_failure_is_the_last_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\n@pytest.mark.parametrize('number', range(200))\ndef test_it(number): assert number\n"
    )
    code, said = run(tmp_path, "-x")
    assert code == 1, said
    assert "stopping after 1 failures" in said
    assert "199 passed" not in said.splitlines()[-1]


def test_a_file_that_cannot_be_collected_is_red(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "test_b.py").write_text("def test_it(): pass\n")
    code, said = run(tmp_path)
    assert code == pytest.ExitCode.INTERRUPTED
    assert "nothing_of_that_name" in said
