"""Words and numbers that others have defined, written out once more: spelled otherwise they would match nothing."""

from __future__ import annotations

from rollproof.core import pipelinesettings, posturewords, scaling, secretsearch, watched


def test_each_as_its_owner_spells_it() -> None:
    assert pipelinesettings.SEVERITIES == ("UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL")  # Trivy, the least first
    assert secretsearch.OBJECT_KINDS == (  # Kubernetes
        "Deployment", "ReplicaSet", "Pod", "Service", "ConfigMap", "Ingress", "HTTPRoute",
    )  # fmt: skip
    assert watched.ENDED_PHASES == ("Succeeded", "Failed")
    assert scaling.AUTOSCALER == "kube-controller-manager"
    assert (scaling.METRICS_S, scaling.SYNC_S) == (15.0, 15.0)


def test_the_sources_of_facts_that_stored_runs_have() -> None:
    assert posturewords.SOURCE == "posture"
    assert (scaling.SOURCE, secretsearch.SOURCE) == ("scaling", "secrets")
