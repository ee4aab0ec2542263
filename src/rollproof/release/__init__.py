"""A sha's road to production and back: commit, push, seen, synced, rolled out, old pods gone, proven."""

from rollproof.release.deploy import Release, Rollout

__all__ = ["Release", "Rollout"]
