"""What is done within a container needs to know which one: of several, of which none is named, never the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from faults.podcluster import Stage

from rollproof.core.injection import Skip
from rollproof.faults import container_stop, dns_away_pod, process_freeze, process_kill, process_terminate
from rollproof.faults.base import Fault

INSIDE = (container_stop.FAULT, dns_away_pod.FAULT, process_freeze.FAULT, process_kill.FAULT, process_terminate.FAULT)


@pytest.mark.parametrize("fault", INSIDE, ids=[fault.name for fault in INSIDE])
def test_of_two_containers_the_target_file_says_which_one(staged: Callable[[Fault], Stage], fault: Fault) -> None:
    stage = staged(fault)
    item = stage.api.objects["deployments", "web"]
    containers = [{"name": "web", "image": "web:1"}, {"name": "proxy", "image": "proxy:1"}]
    spec = {**item["spec"], "template": {"spec": {"containers": containers}}}
    stage.api.put("deployments", {**item, "spec": spec})
    found = stage.available(faults=replace(stage.target.faults, process="nginx"))
    assert isinstance(found, Skip)
    assert found.reason == "cluster.container must say which container"
