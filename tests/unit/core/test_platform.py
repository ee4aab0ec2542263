"""What kind of cluster a run was on, by the marks that distributions leave in their versions."""

from __future__ import annotations

import pytest

from rollproof.core.platform import platform_word


@pytest.mark.parametrize(
    ("version", "context", "word"),
    [
        ("v1.34.4+sandbox", "sandbox", "sandbox"),
        ("v1.30.4-eks-a737599", "arn:aws:eks:eu-west-1:1:cluster/staging", "eks"),
        ("v1.29.1-gke.1589000", "gke_project_zone_name", "gke"),
        ("v1.31.2+k3s1", "default", "k3s"),
        ("v1.30.4+rke2r1", "default", "rke2"),
        ("v1.30.1+k0s", "default", "k0s"),
        ("v1.34.4", "kind-rollproof-lab", "kind"),
        ("v1.34.4+sandbox", "kind-of", "sandbox"),  # what the server says is worth more than a name
        ("v1.34.0-rc.1", "kind-lab", "kind"),
        ("v1.27.6+f67aeb3", "default", "cluster"),  # a hash is no name
        ("v1.34.4", "staging", "cluster"),
        ("", "kind-lab", "kind"),
        ("", "", "cluster"),
    ],
)
def test_word(version: str, context: str, word: str) -> None:
    assert platform_word(version, context) == word
