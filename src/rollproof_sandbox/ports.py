"""Ports: parses `--ports`, checks whether they are free, and chooses those that are not given."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import fields, replace

from rollproof.errors import InputError
from rollproof_sandbox.settings import Ports

__all__ = ["check_ports", "chosen", "not_had", "parse_ports"]

_WHO = {"api": "API server", "ingress": "ingress", "git": "git server"}
_HOST = "127.0.0.1"
_CHOSEN = (20_000, 32_000)  # Linux takes 32768 and more for outgoing connections


def parse_ports(text: str) -> Ports:
    """`auto`, or three numbers: API, ingress, git."""
    if text == "auto":
        return Ports(api=0, ingress=0, git=0)
    words = text.split(",")
    numbers = [int(word) for word in words if word.strip().isascii() and word.strip().isdigit()]
    if len(words) != 3 or len(numbers) != 3 or any(not 0 <= number <= 65_535 for number in numbers):
        raise InputError(
            f"--ports {text!r} is neither 'auto' nor three port numbers", "such as --ports 17443,17080,17090"
        )
    named = [number for number in numbers if number]
    if len(set(named)) < len(named):
        raise InputError(
            f"--ports {text!r} names a port twice", "the API server, the ingress and git each need their own"
        )
    return Ports(api=numbers[0], ingress=numbers[1], git=numbers[2])


def check_ports(ports: Ports) -> None:
    """InputError if a named port is taken."""
    for one in fields(ports):
        number = getattr(ports, one.name)
        if not number:
            continue
        with _socket() as held:
            try:
                held.bind((_HOST, number))
            except OSError as error:
                raise not_had(one.name, number, error.strerror) from None


def not_had(name: str, number: int, why: str | None) -> InputError:
    """The error for a port (`name`: a field of `Ports`) that cannot be listened on; also if it was free before."""
    message = f"port {number} is not available for the sandbox's {_WHO[name]}: {why}"
    hint = f"see who listens (ss -ltnp 'sport = :{number}'), or let it choose others: --ports auto"
    return InputError(message, hint)


def chosen(ports: Ports) -> Ports:
    """A free port for each that is 0, below the range of outgoing connections: it may be closed and opened again."""
    taken = {getattr(ports, one.name) for one in fields(ports)}
    for one in fields(ports):
        if not getattr(ports, one.name):
            number = next(number for number in _random_ports() if number not in taken and _is_free(number))
            taken.add(number)
            ports = replace(ports, **{one.name: number})
    return ports


def _random_ports() -> Iterator[int]:
    while True:
        yield random.randrange(*_CHOSEN)  # noqa: S311 - no secret


def _is_free(number: int) -> bool:
    with _socket() as held:
        try:
            held.bind((_HOST, number))
        except OSError:
            return False
    return True


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made
