"""Changed text: a file of the project with some of its lines changed, for a test that needs it a little otherwise."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LAB_OPENED", "changed"]

LAB_OPENED = {  # what targets/lab.toml keeps closed: else a drill is skipped for that
    '"argocd", "git"]': '"argocd", "git", "kube-system"]',
    "[faults]\n": "[faults]\nforce_push = true\n",
}


def changed(text: str, changes: Mapping[str, str], *, where: str) -> str:
    """The text with each key exchanged for its value; AssertionError if a key is not in `where` any more."""
    for before, after in changes.items():
        if before not in text:
            raise AssertionError(f"{where} does not say {before!r} any more")
        text = text.replace(before, after)
    return text
