"""The Docker daemon under the cluster: a usable one that runs already, else one of our own.

Our own daemon has its own socket, data folder and pid file, touches no iptables chain of another daemon, and is the only one that
this module ever starts or ends. Must never reconfigure a daemon that it did not start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.steps import LabError, Log

__all__ = ["Daemon", "find", "start", "stop"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon to talk to: ``socket`` is its address (``unix://...``), ``own`` says that the lab started it."""

    socket: str
    own: bool

    def env(self) -> Mapping[str, str]:
        """What docker and kind need in their environment to reach this daemon and no other."""
        return {"DOCKER_HOST": self.socket, "KIND_EXPERIMENTAL_DOCKER_NETWORK": settings.NETWORK}
