"""Addresses: a block 127.X.Y.0/24 of loopback addresses for one sandbox, so that several can run beside each other.

Linux answers on all of 127.0.0.0/8 without configuration. The block is reserved by a socket that is bound (and does not
listen) while the sandbox runs; it uses the pods' port, so that a program that has that port on all addresses is
noticed here, before anything was started.
"""

from __future__ import annotations

import errno
import random
import socket
import sys
import threading

from rollproof.errors import InputError

__all__ = ["POD_PORTS", "Addresses"]

POD_PORTS = (8080, 18080, 28080)  # the first that is free on a whole block
_TRIES = 20
_POD_HOSTS = range(10, 250)


class Addresses:
    """`node` and `ingress` are the block's fixed addresses; `take` gives one for a pod, `give_back` frees it."""

    def __init__(self, seed: int = 0) -> None:
        if not sys.platform.startswith("linux"):
            message = (
                f"the sandbox needs Linux: its pods have addresses of their own in 127.0.0.0/8; this is {sys.platform}"
            )
            raise InputError(message, "run it in a Linux container or virtual machine")
        self._held, self.prefix, self.port = _reserve(random.Random(seed))  # noqa: S311 - no secret
        self._lock = threading.Lock()
        self._taken: set[int] = set()
        self._last = _POD_HOSTS[0] - 1

    @property
    def node(self) -> str:
        """The node's address; the reserving socket is bound to it."""
        return f"{self.prefix}.1"

    @property
    def ingress(self) -> str:
        """The ingress pod's address."""
        return f"{self.prefix}.3"

    @property
    def service(self) -> str:
        """The Service's cluster IP. Nothing listens on it: the ingress connects to the pods."""
        return f"{self.prefix}.2"

    def take(self) -> str:
        """A free address for a pod; the one that was released last is used last."""
        with self._lock:
            for step in range(1, len(_POD_HOSTS) + 1):
                host = _POD_HOSTS[(self._last - _POD_HOSTS[0] + step) % len(_POD_HOSTS)]
                if host not in self._taken:
                    self._taken.add(host)
                    self._last = host
                    return f"{self.prefix}.{host}"
        message = f"all {len(_POD_HOSTS)} addresses of the sandbox are taken by pods"
        raise RuntimeError(message)

    def give_back(self, address: str) -> None:
        """Release a pod's address."""
        with self._lock:
            self._taken.discard(int(address.rpartition(".")[2]))

    def close(self) -> None:
        """Release the block."""
        self._held.close()


def _reserve(chance: random.Random) -> tuple[socket.socket, str, int]:
    for port in POD_PORTS:
        for _ in range(_TRIES):
            prefix = f"127.{chance.randint(64, 254)}.{chance.randint(1, 254)}"
            held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                held.bind((f"{prefix}.1", port))
            except OSError as error:
                held.close()
                if error.errno != errno.EADDRINUSE:
                    message = f"{prefix}.1 cannot be used: {error.strerror}"
                    raise InputError(message, "the sandbox needs the loopback addresses 127.0.0.0/8") from error
            else:
                return held, prefix, port
    ports = ", ".join(map(str, POD_PORTS))
    message = f"no port for the sandbox's pods: each of {ports} is taken on all addresses of this machine"
    raise InputError(message, "end the program that listens on one of them (`ss -ltnp`)")
