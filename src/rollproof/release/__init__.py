"""A sha's road to production and back: commit, push, seen, synced, rolled out, old pods gone, proven."""

from rollproof.release.deploy import TAG_KIND, Release, Rollout, restore_tag

__all__ = ["TAG_KIND", "Release", "Rollout", "restore_tag"]
