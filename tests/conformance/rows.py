"""The rows of the list: those that are the same for every kind are generated here, the rest is in rows_*.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.listing import (
    ANY,
    CHANGED,
    CHANGES,
    GONE,
    JSON,
    KINDS,
    MERGE,
    NAMESPACE,
    STRATEGIC,
    Row,
    Step,
    Watched,
    delete,
    get,
    merged_with,
    patch,
    seed_of,
)
from tests.conformance.rows_configmap import CONFIGMAP
from tests.conformance.rows_deployment import DEPLOYMENT
from tests.conformance.rows_managers import MANAGERS
from tests.conformance.rows_other import APPLICATION, LEASE, POD, SERVICE
from tests.conformance.rows_read import READ

_PLURALS = {
    "ConfigMap": ("", "configmaps"),
    "Service": ("", "services"),
    "Deployment": ("apps", "deployments"),
    "Lease": ("coordination.k8s.io", "leases"),
    "Application": ("argoproj.io", "applications"),
    "Pod": ("", "pods"),
    "EndpointSlice": ("discovery.k8s.io", "endpointslices"),
}
_GROWS = {"Deployment": 1, "Application": 1, "Pod": 1, "EndpointSlice": 1}  # added by a change of the spec
_BACK = ("Pod", "Service")  # a deletion returns the object
_STALE = (
    'Operation cannot be fulfilled on {resource} "$name": the object has been modified; '
    "please apply your changes to the latest version and try again"
)


def _resource(kind: str) -> str:
    group, plural = _PLURALS[kind]
    return f"{plural}.{group}" if group else plural


def _sent(kind: str) -> Any:
    """A body for create or replace: the kind's object."""
    return seed_of(kind, "$name", {})


def _of_every_kind(kind: str) -> Iterator[Row]:
    low, resource = kind.lower(), _resource(kind).replace(".", r"\.")
    group, plural = _PLURALS[kind]
    not_found = rf'{resource} "$name" not found'
    details = {"/status": "Failure", "/details/name": "$name", "/details/kind": plural}
    details |= {"/details/group": group} if group else {"/details/group": GONE}
    change, changed, grows = CHANGES[kind], CHANGED[kind], _GROWS.get(kind, 0)

    def row(name: str, *steps: Step, events: tuple[str, ...] = (), **more: Any) -> Row:
        return Row(name=f"{low}-{name}", kind=kind, steps=steps, events=events, **more)

    yield row(
        "create",
        Step(
            method="POST",
            path=None,
            body=_sent(kind),
            status=201,
            holds={
                "/kind": kind,
                "/metadata/uid": ANY,
                "/metadata/creationTimestamp": ANY,
                "/metadata/namespace": NAMESPACE,
                "/metadata/managedFields/0/manager": "rollproof",
                "/metadata/managedFields/0/operation": "Update",
                "/metadata/generation": 1 if grows else GONE,
            },
        ),
        events=("ADDED",),
        seeded=False,
    )
    yield row(
        "create-again",
        Step(
            method="POST",
            path=None,
            body=_sent(kind),
            status=409,
            reason="AlreadyExists",
            message=rf'{resource} "$name" already exists',
            holds=details,
        ),
    )
    yield row(
        "create-dry",
        Step(method="POST", path=None, body=_sent(kind), status=201, query={"dryRun": "All"}),
        get(404, reason="NotFound", message=not_found),
        seeded=False,
    )
    yield row("get", get(holds={"/kind": kind, "/apiVersion": ANY, "/metadata/name": "$name"}, version="same"))
    yield row("get-absent", get(404, reason="NotFound", message=not_found, holds=details), seeded=False, watched=None)
    items = {"/items/0/kind": kind} if kind == "Application" else {"/items/0/kind": GONE, "/items/0/apiVersion": GONE}
    for selector, value in (("labelSelector", "row=$name"), ("fieldSelector", "metadata.name=$name")):
        yield row(
            f"list-{selector.lower()}",
            get(
                path=None,
                query={selector: value},
                holds={
                    "/kind": f"{kind}List",
                    "/metadata/resourceVersion": ANY,
                    "/items/0/metadata/name": "$name",
                    "/items/1": GONE,
                    **items,
                },
            ),
        )
    yield row("list-none", get(path=None, query={"labelSelector": "row=nothing"}, holds={"/items": []}), watched=None)
    yield row(
        "patch-merge",
        patch(change, holds=changed, version="new", generation=grows),
        patch(change, holds=changed, version="same", generation=0),
        events=("MODIFIED",),
    )
    yield row(
        "patch-strategic",
        patch(change, STRATEGIC, holds=changed, version="new", generation=grows)
        if kind != "Application"
        else patch(
            change,
            STRATEGIC,
            415,
            reason="UnsupportedMediaType",
            message=r"the body of the request was in an unknown format - accepted media types include: "
            r"application/json-patch\+json, application/merge-patch\+json, application/apply-patch\+yaml",
        ),
        events=("MODIFIED",) if kind != "Application" else (),
    )
    yield row(
        "patch-json",
        patch(
            [{"op": "add", "path": "/metadata/labels/more", "value": "yes"}],
            JSON,
            holds={"/metadata/labels/more": "yes"},
            version="new",
            generation=1 if kind == "EndpointSlice" else 0,
        ),
        patch(
            [{"op": "remove", "path": "/metadata/labels/more"}],
            JSON,
            holds={"/metadata/labels/more": GONE},
            version="new",
        ),
        patch([{"op": "test", "path": "/metadata/name", "value": "$name"}], JSON, version="same"),
        patch(
            [{"op": "test", "path": "/metadata/name", "value": "another"}],
            JSON,
            422,
            reason="Invalid",
            message="the server rejected our request due to an error in our request",
        ),
        patch(
            [{"op": "remove", "path": "/metadata/labels/nothing"}],
            JSON,
            422,
            reason="Invalid",
            message="the server rejected our request due to an error in our request",
        ),
        events=("MODIFIED", "MODIFIED"),
    )
    for how, word in ((MERGE, "merge"), (STRATEGIC, "strategic")):
        if kind == "Application" and how == STRATEGIC:
            continue
        stale = {**change, "metadata": {"resourceVersion": "1"}}
        bound = {**change, "metadata": {"resourceVersion": "$version"}}
        yield row(
            f"patch-{word}-version",
            patch(
                stale,
                how,
                409,
                reason="Conflict",
                message=_STALE.format(resource=resource),
                holds=details,
            ),
            patch(bound, how, holds=changed, version="new", generation=grows),
            events=("MODIFIED",),
        )
        yield row(
            f"patch-{word}-dry",
            patch(change, how, query={"dryRun": "All"}, holds=changed, version="same", generation=grows),
            get(version="same", generation=0),
        )
    yield row(
        "patch-absent",
        patch(change, status=404, reason="NotFound", message=not_found, holds=details),
        seeded=False,
        watched=None,
    )
    yield row(
        "patch-annotation",
        patch(
            {"metadata": {"annotations": {"note": "1"}}},
            holds={"/metadata/annotations/note": "1"},
            version="new",
            generation=1 if kind == "Deployment" else 0,
        ),
        patch({"metadata": {"annotations": {"note": None}}}, holds={"/metadata/annotations": GONE}, version="new"),
        patch({"metadata": {"annotations": {"note": None}}}, version="same"),
        events=("MODIFIED", "MODIFIED"),
    )
    yield row(
        "replace",
        Step(method="PUT", body=lambda item: item, status=200, version="same"),
        Step(method="PUT", body=lambda item: _changed(item, change), status=200, version="new", holds=changed),
        Step(
            method="PUT",
            body=lambda item: _changed(item, {"metadata": {"resourceVersion": "1"}}),
            status=409,
            reason="Conflict",
            message=_STALE.format(resource=resource),
            holds=details,
        ),
        events=("MODIFIED",),
    )
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    gone = ("MODIFIED", "DELETED") if kind == "Pod" else ("DELETED",)  # a Pod is marked first, whatever its grace
    qualified = rf"{kind}\.{group}" if group else kind
    wrong = "5bd5a5d4-0000-4000-8000-000000000000"
    yield row(
        "delete",
        delete(
            409,
            body={**options, "preconditions": {"uid": wrong}},
            reason="Conflict",
            message=rf'Operation cannot be fulfilled on {qualified} "$name": the UID in the precondition \({wrong}\) '
            r"does not match the UID in record \($uid\)\. The object might have been deleted and then recreated",
            holds={"/details/kind": kind, "/details/name": "$name"},
        ),
        delete(
            409,
            body={**options, "preconditions": {"resourceVersion": "1"}},
            reason="Conflict",
            message=rf'Operation cannot be fulfilled on {qualified} "$name": the ResourceVersion in the precondition '
            r"\(1\) does not match the ResourceVersion in record \($version\)\. The object might have been modified",
        ),
        delete(body={**options, "dryRun": ["All"]}),
        get(version="same"),
        delete(
            body={**options, "preconditions": {"uid": "$uid", "resourceVersion": "$version"}},
            holds={"/kind": kind, "/metadata/uid": "$uid"}
            if kind in _BACK
            else {
                "/kind": "Status",
                "/status": "Success",
                "/details/uid": "$uid",
                "/details/kind": plural,
                "/details/name": "$name",
                "/metadata": {},
            },
        ),
        delete(404, body=options, reason="NotFound", message=not_found, holds=details),
        events=gone,
    )
    yield row(
        "watch-leaves",
        patch({"metadata": {"labels": {"row": "another"}}}),
        patch({"metadata": {"labels": {"more": "yes"}}}),
        patch({"metadata": {"labels": {"row": "$name"}}}),
        patch({"metadata": {"labels": {"more": None}}}),
        events=("DELETED", "ADDED", "MODIFIED"),
    )
    yield row(
        "watch-field",
        patch({"metadata": {"labels": {"more": "yes"}}}),
        delete(body=options),
        events=("MODIFIED", *gone),
        watched=Watched(labels="", fields="metadata.name=$name"),
    )
    yield row(
        "watch-from-now",
        patch(change),
        events=("ADDED", "MODIFIED"),
        watched=Watched(since="0"),
    )
    if kind == "Application":  # of other, older kinds a young cluster still has all versions
        yield row("watch-expired", events=("ERROR 410 Expired", "END"), watched=Watched(since="1", until_end=True))


def _changed(item: Mapping[str, Any], change: Mapping[str, Any]) -> Any:
    return merged_with(dict(item), change)


ROWS = [
    *(row for kind in KINDS for row in _of_every_kind(kind)),
    *DEPLOYMENT,
    *MANAGERS,
    *SERVICE,
    *CONFIGMAP,
    *LEASE,
    *APPLICATION,
    *POD,
    *READ,
]
