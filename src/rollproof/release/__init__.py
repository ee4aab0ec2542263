"""Deploy of a version and its revert: commit, push, seen, synced, rolled out, old pods gone, proven."""

from rollproof.release.deploy import TAG_KIND, Release, Rollout, restore_tag

__all__ = ["TAG_KIND", "Release", "Rollout", "restore_tag"]
