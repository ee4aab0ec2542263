"""Time under a test's control, for the modules that are tested and for nobody else.

`monkeypatch.setattr(module.time, "sleep", ...)` replaces the whole process's: a thread that another test left asleep
then calls the stand-in, in the middle of this one.
"""

from __future__ import annotations

import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

__all__ = ["own_time"]


def own_time(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType, **functions: Any) -> None:
    """Give these modules a `time` of their own, with these functions (sleep, monotonic, time) replaced."""
    own = SimpleNamespace(**{**vars(time), **functions})
    for module in modules:
        monkeypatch.setattr(module, "time", own)
