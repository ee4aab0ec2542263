"""`tests/cpu.py`: what each file took is added up over the workers, and the ten that took most are named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests import cpu


def test_the_files_that_took_most_are_named_and_the_rest_is_in_the_sum() -> None:
    took_s = {f"tests/unit/test_{number:02}.py": float(number) for number in range(20)}
    first, *files = cpu.summary({**took_s, "(collecting)": 21.0})
    assert first == "tests 190 s of CPU, collecting 21 s (of all workers)"
    assert [line.split()[2] for line in files] == [f"tests/unit/test_{number:02}.py" for number in range(19, 9, -1)]
    assert files[0] == "   19.0 s  tests/unit/test_19.py"


def test_what_workers_tell_is_added_up() -> None:
    config, controller = SimpleNamespace(workeroutput={}), cpu._Account()
    worker = cpu._Account()
    worker.took_s.update({"a.py": 1.5})
    worker.pytest_sessionfinish(SimpleNamespace(config=config))
    for node in (SimpleNamespace(workeroutput=config.workeroutput),) * 2:
        controller.pytest_testnodedown(node)
    controller.pytest_testnodedown(SimpleNamespace())  # a worker that was lost told nothing
    assert controller.took_s == {"a.py": 3.0}


def test_a_test_s_own_work_counts_for_its_file() -> None:
    account = cpu._Account()
    running = account.pytest_runtest_protocol(SimpleNamespace(nodeid="a/test_b.py::test_c[a::b]"))
    next(running)
    before_s = cpu.cpu_s()
    while cpu.cpu_s() == before_s:  # the kernel counts in ticks
        pass
    with pytest.raises(StopIteration) as ended:
        running.send(True)
    assert ended.value.value is True
    assert account.took_s["a/test_b.py"] > 0
