"""How many examples Hypothesis tries of a property: all of them in `make fuzz`, an eighth in `make test`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__ = ["DEEP", "examples"]

DEEP = bool(os.environ.get("ROLLPROOF_DEEP"))
_DEFAULT, _SHARE, _LEAST = 100, 8, 10


def examples(count: int = _DEFAULT) -> settings:
    """For `@examples(200)` above `@given`; without it a property has 100. No time is judged: a busy machine is slow."""
    return settings(
        max_examples=count if DEEP else max(count // _SHARE, min(count, _LEAST)), deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip


settings.register_profile("rollproof", examples())
settings.load_profile("rollproof")
