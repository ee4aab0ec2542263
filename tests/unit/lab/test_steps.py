import threading
from pathlib import Path

import pytest

from lab.steps import CommandError, LabError, Log, Step, StepError, run_steps


def _run(steps: list[Step], folder: Path) -> list[str]:
    said: list[str] = []
    run_steps(steps, folder, said.append)
    return said


def test_a_step_starts_only_when_what_it_needs_has_ended(tmp_path: Path) -> None:
    order: list[str] = []
    gate = threading.Event()

    def slow(_: Log) -> None:
        gate.wait(60)
        order.append("slow")

    def quick(_: Log) -> None:
        gate.set()

    _run(
        [
            Step("slow", slow, lane="a"),
            Step("quick", quick, lane="b"),
            Step("after", lambda _: order.append("after"), lane="b", needs=("slow",)),
        ],
        tmp_path,
    )
    assert order == ["slow", "after"]


def test_a_step_that_is_done_is_not_run(tmp_path: Path) -> None:
    def never(_: Log) -> None:
        raise AssertionError("must not run")

    assert _run([Step("made", never, is_done=lambda: True)], tmp_path) == ["     kept  made"]


@pytest.mark.processes
def test_a_failure_names_the_step_its_log_and_the_last_lines(tmp_path: Path) -> None:
    def fail(log: Log) -> None:
        log.run("sh", "-c", "echo the disk is full >&2; exit 3")

    with pytest.raises(StepError) as failure:
        _run([Step("write layer", fail)], tmp_path)
    text = str(failure.value)
    assert "write layer" in text
    assert str(tmp_path / "write-layer.log") in text
    assert "the disk is full" in text
    assert "status 3" in text


@pytest.mark.processes
def test_a_failure_ends_the_commands_of_other_lanes_and_later_steps_do_not_start(tmp_path: Path) -> None:
    started = threading.Event()
    later: list[str] = []

    def sleeper(log: Log) -> None:
        started.set()
        log.run("sleep", "600")

    def fail(_: Log) -> None:
        started.wait(60)
        raise LabError("no luck")

    with pytest.raises(StepError, match="no luck"):
        _run(
            [
                Step("sleeper", sleeper, lane="a"),
                Step("bad", fail, lane="b"),
                Step("later", lambda _: later.append("ran"), lane="a"),
            ],
            tmp_path,
        )
    assert later == []


def test_a_need_that_no_earlier_step_provides_is_refused_before_anything_runs(tmp_path: Path) -> None:
    ran: list[str] = []
    with pytest.raises(LabError, match="needs"):
        _run([Step("one", lambda _: ran.append("one")), Step("two", lambda _: None, needs=("three",))], tmp_path)
    assert ran == []


def test_a_command_that_is_not_installed_says_so(log: Log) -> None:
    with pytest.raises(CommandError, match="no-such-command is not installed"):
        log.run("no-such-command", "--version")


@pytest.mark.processes
def test_a_command_that_hangs_is_ended(log: Log) -> None:
    with pytest.raises(CommandError, match="did not end within"):
        log.run("sleep", "600", timeout_s=0.05)
