"""A gone pod's address is silent: no refusal, no answer."""

from __future__ import annotations

import socket

import pytest

from rollproof_sandbox.workloads.graves import Graves

IP = "127.99.7.3"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((IP, 0))
        return int(probe.getsockname()[1])


def test_a_grave_is_silent_and_an_empty_address_refuses() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((IP, port), timeout=30)
    graves = Graves()
    graves.dig(IP, port)
    try:
        with pytest.raises(TimeoutError):
            socket.create_connection((IP, port), timeout=0.3)
    finally:
        graves.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((IP, port), timeout=30)


def test_a_port_that_is_still_served_is_left_alone() -> None:
    graves = Graves()
    with socket.create_server((IP, 0)) as server:
        graves.dig(*server.getsockname()[:2])
        with socket.create_connection(server.getsockname()[:2], timeout=30):
            pass
    graves.close()
