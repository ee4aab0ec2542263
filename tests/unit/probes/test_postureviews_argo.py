"""What an Application and its AppProject say, read as Argo CD itself reads them (3.1 to 3.6)."""

from __future__ import annotations

from typing import Any

import pytest

from rollproof.clients.kube import Object
from rollproof.probes.postureviews import application_seen, project_seen


def named(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "argocd"}, **more}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ({"clusters": ["https://kubernetes.default.svc"]}, True),
        ({"clusters": ["prod-*"]}, False),
        ({"clusters": ["*"]}, True),
        ({"applications": ["{shop,cart}"]}, True),
        ({"applications": ["*"], "namespaces": ["other"]}, True),
        ({"applications": ["*"], "namespaces": ["other"], "andOperator": True}, False),
        ({"applications": ["*"], "clusters": ["*default.svc"], "andOperator": True}, True),
        ({}, False),
    ],
)
def test_whom_a_sync_window_is_about(names: Object, chosen: bool) -> None:
    """As Argo CD's SyncWindows.Matches: a window of other clusters was taken for ours."""
    window = {"kind": "deny", "schedule": "0 0 * * *", "duration": "1h", **names}
    to = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"}}
    found = project_seen(named("default", spec={"syncWindows": [window]}), named("shop", spec=to), "shop")
    assert bool(found.windows) is chosen


def test_a_retry_without_a_limit_has_none() -> None:
    """Argo CD: limit is an int64, omitted where it is 0; the default of five is of an Application without `retry`."""
    one = application_seen(named("shop", spec={"syncPolicy": {"retry": {"backoff": {"duration": "5s"}}}}))
    assert one.retries == 0
