"""The arithmetic of rollouts, without a cluster."""

from __future__ import annotations

import pytest

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.workloads.rollout import (
    LETTERS,
    max_surge,
    max_unavailable,
    new_replicas,
    same_template,
    shares,
    template_hash,
)


def a_deployment(replicas: int, surge: object = 1, unavailable: object = 0) -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}


def a_set(name: str, replicas: int, maximum: int) -> Object:
    annotations = {"deployment.kubernetes.io/max-replicas": str(maximum)}
    metadata = {"name": name, "creationTimestamp": f"2026-01-01T00:00:0{name[-1]}Z", "annotations": annotations}
    return {"metadata": metadata, "spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),  # surge is rounded up, unavailable down
        (2, "25%", "25%", (1, 0)),
        (3, 0, 0, (0, 1)),  # both zero would stand still
        (3, "0%", "10%", (0, 1)),
        (2, 1, 5, (1, 2)),  # no more can be missing than there are
        (0, 1, 1, (1, 0)),
    ],
)
def test_bounds(replicas: int, surge: object, unavailable: object, expected: tuple[int, int]) -> None:
    item = a_deployment(replicas, surge, unavailable)
    assert (max_surge(item), max_unavailable(item)) == expected


@pytest.mark.parametrize(
    ("wanted", "old", "new", "expected"),
    [(2, 2, 0, 1), (2, 2, 1, 1), (2, 1, 1, 2), (2, 0, 1, 2), (10, 10, 0, 1)],
)
def test_new_pods_fill_the_room_that_surge_leaves(wanted: int, old: int, new: int, expected: int) -> None:
    sets = [a_set("old1", old, 3), a_set("new2", new, 3)]
    assert new_replicas(a_deployment(wanted), sets, new) == expected


@pytest.mark.parametrize(
    ("wanted", "sizes", "expected"),
    [
        (20, {"a1": 8, "b2": 5}, {"a1": 14, "b2": 9}),  # 10 + surge 3 before, 20 + 3 now: 23 / 13 of each
        (5, {"a1": 8, "b2": 5}, {"a1": 5, "b2": 3}),
        (0, {"a1": 8, "b2": 5}, {"a1": 0, "b2": 0}),
        (10, {"a1": 8, "b2": 5}, {"a1": 8, "b2": 5}),
    ],
)
def test_scaling_in_the_middle_of_a_rollout_is_shared(
    wanted: int, sizes: dict[str, int], expected: dict[str, int]
) -> None:
    sets = [a_set(name, size, 13) for name, size in sizes.items()]
    found = shares(a_deployment(wanted, surge=3, unavailable=2), sets)
    assert found == expected


def test_a_template_has_one_name_in_the_letters_of_names() -> None:
    one = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
    other = {**one, "spec": {"containers": [{"name": "shop", "image": "shop:2"}]}}
    assert template_hash(one) == template_hash({"spec": one["spec"], "metadata": one["metadata"]})
    assert template_hash(one) != template_hash(other)
    assert set(template_hash(one)) <= set(LETTERS)


def test_templates_are_compared_without_the_hash() -> None:
    one: Object = {"metadata": {"labels": {"app": "shop"}}, "spec": {}}
    labelled: Object = {"metadata": {"labels": {"app": "shop", "pod-template-hash": "abc"}}, "spec": {}}
    assert same_template(one, labelled)
    assert not same_template(one, {**labelled, "spec": {"hostNetwork": True}})
