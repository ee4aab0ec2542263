"""Pipelinewords: the words of facts about a version's road, and its legs; `core.pipeline` reads the facts themselves.

Apart from it, because every run is held against these words, and few runs have such facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["BEFORE", "SOURCE", "Leg", "PipelineWord"]

SOURCE = "pipeline"


class Leg(StrEnum):
    """The legs of the road, in their order; keys of `pipeline.limits_s`."""

    COMMIT = "commit"  # the tag is the short sha of a commit of the app
    STARTED = "started"  # CI has run for it
    TESTED = "tested"  # lint and tests
    IMAGE = "image"  # the image of that tag is there, for the nodes' platform, and it is the one that runs
    SCAN = "scan"  # of the image
    ENV_COMMIT = "env-commit"  # the tag is committed to the env repo
    SEEN = "seen"  # Argo CD has taken that commit
    SYNCED = "synced"  # and applied it
    ROLLED_OUT = "rolled-out"  # every pod runs that version
    PROVEN = "proven"  # and says so itself


# from whose end a leg's time is counted; a leg that is not here has none
BEFORE: Mapping[Leg, Leg] = {
    Leg.STARTED: Leg.COMMIT,
    Leg.TESTED: Leg.STARTED,
    Leg.SCAN: Leg.STARTED,
    Leg.ENV_COMMIT: Leg.SCAN,
    Leg.SEEN: Leg.ENV_COMMIT,
    Leg.SYNCED: Leg.SEEN,
    Leg.ROLLED_OUT: Leg.SYNCED,
}


class PipelineWord(StrEnum):
    """What came of a question."""

    READ = "read"
    UNREAD = "unread"  # it could not be read: nothing is known
    ABSENT = "absent"  # the target has no such thing, or does not name it
