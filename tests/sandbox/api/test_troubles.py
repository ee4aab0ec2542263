"""Every trouble of `settings.ApiServer`: it does what it says, at its moment, and nothing happens without it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rollproof.clients.kube import STRATEGIC, ApiError, Kube, UnreachableError, WatchStream
from rollproof_sandbox.api.moments import ARGO_MANAGER
from rollproof_sandbox.settings import ApiServer, Trouble
from tests.sandbox.api.conftest import Served, configmap, pod
from tests.waiting import until

Serve = Callable[..., Served]
_APPLICATION = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": {},
                "metadata": {"name": "shop", "namespace": "argocd"}}  # fmt: skip


def on_rollout(kind: str, **more: float) -> ApiServer:
    return ApiServer(on_rollout=(Trouble(kind=kind, **more),))


def watch(served: Served, kind: str = "Deployment", since: str = "") -> WatchStream:
    return served.kube.watch(kind, "shop", resource_version=since or served.version(kind))


def is_away(kube: Kube) -> bool:
    try:
        kube.version()
    except UnreachableError:
        return True
    return False


def test_away_refuses_and_cuts_and_comes_back(serve: Serve) -> None:
    served = serve(on_rollout("away", for_s=3))
    stream = watch(served)
    served.roll()
    with pytest.raises(UnreachableError):
        list(stream)
    assert is_away(served.kube)
    until(lambda: not is_away(served.kube), "the API server's return")
    assert served.kube.get("Deployment", "shop", "shop")["metadata"]["generation"] == 2


def test_away_later(serve: Serve) -> None:
    served = serve(on_rollout("away", after_s=3, for_s=60))
    served.roll()
    assert not is_away(served.kube)
    until(lambda: is_away(served.kube), "the API server's leaving")
    served.server.stop()  # while it is away: it must not come back
    assert is_away(served.kube)


def test_ended_watches_go_on_from_where_they_were(serve: Serve) -> None:
    served = serve(on_rollout("end-watches"))
    stream = watch(served)
    served.roll()
    events = list(stream)
    assert [kind for kind, _ in events] == ["MODIFIED"]
    served.roll("registry.local/shop:c93d4f0")
    resumed = watch(served, since=events[-1][1]["metadata"]["resourceVersion"])
    assert next(iter(resumed))[0] == "MODIFIED"
    resumed.close()


def test_expired_watches_need_a_new_list(serve: Serve) -> None:
    served = serve(on_rollout("expire-watches"))
    version = served.version("Deployment")
    stream = watch(served)
    served.roll()
    events = list(stream)
    for since in (version, events[-1][1]["metadata"]["resourceVersion"]):
        with pytest.raises(ApiError) as caught:
            list(watch(served, since=since))
        assert (caught.value.status, caught.value.reason) == (410, "Expired")
    served.roll("registry.local/shop:c93d4f0")
    again = watch(served)
    served.roll()
    assert next(iter(again))[0] == "MODIFIED"
    again.close()


def test_blind_watches_of_pods_lose_what_happened(serve: Serve) -> None:
    served = serve(on_rollout("blind-watches", for_s=3))
    version = served.version("Pod")
    pods, deployments = watch(served, "Pod"), watch(served)
    served.roll()
    until(lambda: served.server._blind == {"Pod"}, "blindness")
    served.store.create(pod("lost"), manager="test")
    served.server.bookmark()
    assert next(iter(deployments))[0] == "MODIFIED"
    deployments.close()
    assert list(pods) == []
    with pytest.raises(ApiError) as caught:
        list(watch(served, "Pod", version))
    assert caught.value.status == 410
    until(lambda: not served.server._blind, "sight")
    again = watch(served, "Pod")
    served.store.create(pod("seen"), manager="test")
    assert next(iter(again))[1]["metadata"]["name"] == "seen"
    again.close()


def _scale(served: Served) -> None:
    served.store.mutate(
        "Deployment", "shop", "shop", lambda item: item["spec"].update(replicas=3), manager=ARGO_MANAGER
    )


def _status(served: Served) -> None:
    served.store.mutate(
        "Deployment", "shop", "shop", lambda item: item["status"].update(replicas=3), manager=ARGO_MANAGER,
        subresource="status",
    )  # fmt: skip


@pytest.mark.parametrize(
    "action",
    [_scale, _status, lambda served: served.roll(manager="rollproof"), lambda served: served.roll(manager="kubectl")],
)
def test_what_is_no_rollout(serve: Serve, action: Callable[[Served], None]) -> None:
    served = serve(on_rollout("away", for_s=60))
    action(served)
    assert served.server._troubles._timers == set()
    served.roll("registry.local/shop:c93d4f0")
    until(lambda: is_away(served.kube), "the rollout's trouble")


def test_without_settings_nothing_happens(serve: Serve) -> None:
    served = _with_objects(serve())
    served.roll()
    served.kube.patch("Deployment", "shop", "shop", {"spec": {"replicas": 3}}, how=STRATEGIC)
    assert served.server._troubles._timers == set()
    assert served.kube.get("Deployment", "shop", "shop")["spec"]["replicas"] == 3


def test_a_webhook_voids_patches_by_rollproof(serve: Serve) -> None:
    served = _with_objects(serve(ApiServer(voids_patches=True)))
    before = served.kube.get("Deployment", "shop", "shop")
    for dry_run in (True, False):
        after = served.kube.patch("Deployment", "shop", "shop", {"spec": {"replicas": 9}}, dry_run=dry_run)
        assert after == before
    stale = {"spec": {"replicas": 9}, "metadata": {"resourceVersion": "1"}}
    with pytest.raises(ApiError, match="Conflict"):
        served.kube.patch("Deployment", "shop", "shop", stale)
    note = {"metadata": {"annotations": {"note": "1"}}}
    assert served.kube.patch("Application", "argocd", "shop", note)["metadata"]["annotations"] == {"note": "1"}


def test_a_pod_that_rollproof_deletes_or_evicts_stays(serve: Serve) -> None:
    served = serve(ApiServer(voids_deletions=True))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"}, "spec": {}}
    uid = served.store.create(pod, manager="test")["metadata"]["uid"]
    served.kube.delete("Pod", "shop", "web-1", uid=uid)
    served.kube.evict("shop", "web-1", uid=uid)
    with pytest.raises(ApiError, match="Conflict"):
        served.kube.delete("Pod", "shop", "web-1", uid="another")
    assert "deletionTimestamp" not in served.kube.get("Pod", "shop", "web-1")["metadata"]


def test_an_unknown_trouble_is_a_mistake(serve: Serve) -> None:
    with pytest.raises(ValueError, match="gremlins"):
        serve(on_rollout("gremlins"))


def _with_objects(served: Served) -> Served:
    served.store.create(_APPLICATION, manager="test")
    served.store.create(configmap("shop-config", GREETING="hello"), manager="test")
    return served
