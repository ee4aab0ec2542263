"""The relay of signals: none is lost, whichever thread of the sandbox gets it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from rollproof_sandbox.relay import Relay


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A relay that has heard one leaves them ignored, as its process ends then; this one goes on."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_one_that_another_thread_gets_is_passed_on_while_the_main_thread_waits_for_a_process() -> None:
    came = threading.Event()
    reader, writer = os.pipe()
    with Relay(came) as relay:
        relay.begin(writer)
        command = subprocess.Popen(["head", "-c", "1"], stdin=reader, stdout=subprocess.PIPE)
        too_late = threading.Timer(20, command.kill)
        too_late.start()
        threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT)).start()
        code = command.wait()
        too_late.cancel()
        relay.end()
    os.close(reader)
    assert code == 0
    assert command.communicate()[0] == bytes([signal.SIGINT])
    assert came.is_set()


def test_one_that_came_before_the_command_ends_it_as_it_begins() -> None:
    came = threading.Event()
    reader, writer = os.pipe()
    with Relay(came) as relay:
        os.kill(os.getpid(), signal.SIGHUP)
        assert came.wait(60)
        relay.begin(writer)
        assert os.read(reader, 1) == bytes([signal.SIGTERM])
        relay.end()
    os.close(reader)


def test_a_command_that_has_just_ended_is_told_no_more() -> None:
    came = threading.Event()
    reader, writer = os.pipe()
    with Relay(came) as relay:
        relay.begin(writer)
        os.close(reader)
        os.kill(os.getpid(), signal.SIGTERM)
        assert came.wait(60)
        relay.end()
