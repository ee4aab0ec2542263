"""Addresses: blocks that do not overlap, and a pod's address that is not given away again at once."""

from __future__ import annotations

import socket
import sys

import pytest

from rollproof.errors import InputError
from rollproof_sandbox import addresses
from rollproof_sandbox.addresses import POD_PORTS, Addresses


def test_two_sandboxes_have_blocks_of_their_own() -> None:
    first, second = Addresses(seed=7), Addresses(seed=7)
    assert first.prefix != second.prefix
    assert first.prefix.startswith("127.")
    first.close()
    third = Addresses(seed=7)
    assert third.prefix == first.prefix  # let go, and the seed finds the same again
    second.close()
    third.close()


def test_an_address_that_was_given_back_comes_last() -> None:
    block = Addresses(seed=1)
    one, two = block.take(), block.take()
    assert one != two
    block.give_back(one)
    others = {block.take() for _ in range(238)}
    assert one not in others
    assert block.take() == one
    with pytest.raises(RuntimeError, match="are taken by pods"):
        block.take()
    block.close()


def test_a_pod_can_listen_there() -> None:
    block = Addresses(seed=2)
    with socket.create_server((block.take(), block.port)):
        pass
    block.close()


def test_another_pod_port_when_somebody_has_it_on_all_addresses() -> None:
    with socket.socket() as everywhere:
        try:
            everywhere.bind(("0.0.0.0", POD_PORTS[0]))  # noqa: S104 - the situation; nobody listens
        except OSError:
            pytest.skip("the port is taken already")
        block = Addresses(seed=3)
        assert block.port == POD_PORTS[1]
        block.close()


def test_elsewhere_than_on_linux_it_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"needs Linux.*darwin"):
        Addresses()
    assert sys.platform == "darwin"
