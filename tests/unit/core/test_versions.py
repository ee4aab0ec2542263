import pytest

from rollproof.core import versions
from rollproof.core.versions import said_of, unknown


@pytest.fixture(autouse=True)
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PAIRS", (("1.37.2", "3.6.1"), ("1.37.2", "3.2.6"), ("1.34.4", "3.6.1")))


@pytest.mark.parametrize(
    ("kubernetes", "argocd", "strange"),
    [
        ("v1.37.2", "v3.6.1", ()),
        ("v1.37.9-eks-1a2b3c", "v3.6.4", ()),
        ("v1.34.4+sandbox", "v3.2.6", ()),
        ("v1.3.4", "v3.2.6", ("Kubernetes v1.3.4",)),
        ("v1.38.0", "v3.6.1", ("Kubernetes v1.38.0",)),
        ("v1.37.2", "v3.7.0", ("Argo CD v3.7.0",)),
        ("v1.37.2", "v2.6.1", ("Argo CD v2.6.1",)),
        ("v3.6.0", "v1.37.0", ("Kubernetes v3.6.0", "Argo CD v1.37.0")),
        ("", "latest", ("Kubernetes", "Argo CD latest")),
        ("v1.37.2", "", ("Argo CD",)),
    ],
)
def test_a_version_is_known_by_its_line(kubernetes: str, argocd: str, strange: tuple[str, ...]) -> None:
    assert unknown(kubernetes, argocd) == strange


def test_two_lines_that_were_run_apart_are_not_said_to_have_been_run_together() -> None:
    assert said_of("v1.34.9", "v3.6.0") == "run as Kubernetes 1.34.4 with Argo CD 3.6.1"
    assert said_of("v1.34.4", "v3.2.6") == "each line was run, not the two together"
