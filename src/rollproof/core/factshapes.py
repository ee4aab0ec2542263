"""Factshapes: of which type each field of a stored fact is, so that nobody behind the reader meets another one.

docs/facts.md says what the fields mean. A field that is absent or null says nothing; one that is not listed here is
anybody's, and is only ever shown. `needed` fields must be there, because their readers have no use for a fact without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rollproof.core import pipelinewords, posturewords
from rollproof.core.event import Event
from rollproof.core.outside import Outside
from rollproof.core.pipelinewords import PipelineWord
from rollproof.core.posturewords import PostureWord, Topic
from rollproof.errors import RollproofError

__all__ = ["check_fact"]

_STAGE = "commit parent path line reverted revision template_hash operation_revision stage reason cause look_at"
_ANSWER = "text:error,via,expected int:status scalar:version,value real:took_s"
# source · kind of the subject ("" for all) · what ("" for all) -> fields by type
_SHAPES: Mapping[tuple[str, str, str], str] = {
    ("run", "", ""): "text:reason",
    ("run", "drill", "started"): "text:sha",
    ("run", "judge", "asked"): "texts:checkers",
    ("run", "clock", "read"): "real:monotonic_s,wall_s",
    ("run", "clock", "calibrated"): "reals:watch_delay_ms real:median_ms",
    ("watch", "Pod", ""): "text:uid,replicaset,template_hash,image,image_id,phase,ready_since,node,ip,reason "
    "int:restarts flag:ready,terminating,initial",
    ("watch", "ReplicaSet", ""): "text:uid,template_hash,image,failure "
    "int:revision,replicas,ready,available flag:initial",
    ("watch", "Deployment", ""): "text:uid,image,resource_version,template_hash flag:paused,deadline_exceeded,initial "
    "int:generation,observed_generation,spec_replicas,replicas,updated,available,ready texts:replicas_by",
    ("watch", "HorizontalPodAutoscaler", ""): "text:uid,reason,disabled texts:metrics flag:of_resources,initial "
    "int:min_replicas,max_replicas,current,desired real:use,window_s,up_window_s,tolerance",
    ("watch", "EndpointSlice", ""): "text:service texts:ready,serving,terminating flag:initial",
    ("watch", "Application", ""): "text:sync_status,sync_revision,health,phase,operation_revision,initiated_by,"
    "started_at,finished_at,message,resource_version int:attempts texts:conditions "
    "flag:compared_to_spec,operation_pending,refresh_pending,automated,initial",
    ("watch", "Watch", "gap"): "flag:lost text:reason real:blind_s",
    ("release", "", ""): f"text:old_sha,new_sha,mode,deployment_uid,{_STAGE.replace(' ', ',')} flag:restart,superseded "
    "int:attempts,count,replicas,pods,ingress_answers,line_number texts:uids pods:old_pods real:not_before_s",
    ("proof", "", ""): f"{_ANSWER} text:reason",
    ("load", "Load", "self-test"): "classes:classes flag:passed text:why",
    ("load", "Load", "started"): "int:start_ns texts:lanes real:rate_per_s text:scheduling",
    ("load", "Load", "stopped"): "int:requests,failures",
    ("drift", "", ""): "text:resource_version,uid,manager,reason,by,stage,kind,object,change,undo,rule,version,field,"
    "health,sync_revision,operation_revision,phase,why_unfair,finished_at,started_at,initiated_by,sync_status "
    "flag:fair,self_heal,automated,window_denied,ignored,deleted,complete,after_restored,known,restored "
    "int:attempts real:gap_s,remaining_s,quiet_s,start_s,factor,cap_s,cooldown_s,fixed_delay_s,watched_s,waited_s,"
    "not_before_s flags:checked",
    ("fault", "", ""): "text:object,change,undo,reason,uid,resource_version,watched,by,last_seen,cause,version,"
    "control texts:pods,tries flag:affects_traffic,held "
    "real:limit_s,effect_within_s,waited_s,took_s,margin_s,not_before_s",
    ("undo", "", ""): "text:object,reason,version object:args",
    ("scaling", "", ""): "text:autoscaler,path,last_seen int:floor,max_replicas,replicas,requests,failures "
    "real:rate_per_s,window_s,up_within_s,ready_within_s,down_within_s,waited_s ints:outcomes",
    ("jobs", "Jobs", "read"): "real:wall_s,oldest_s,settled,booked reals:clock_s int:replicas runs:runs",
    ("secrets", "", ""): "texts:names,hits,alike_hits,places object:unsearchable text:cut,reason "
    "int:texts,size_bytes,found,planted,planted_found,checked,alike,alike_planted_found",
    ("ingress", "", "log"): "int:lines,matched,answered,found,retried,masked,in_front,followed "
    "texts:retried_ids ints:upstreams",
    ("ingress", "", "log-unreadable"): "text:reason int:lines,matched,retried,masked,in_front texts:retried_ids "
    "ints:upstreams",
    ("kept", "", ""): "text:container,waiting,ended,file,cause,reason flag:previous,cut "
    "int:exit_code,restarts,lines,size_bytes,listed texts:tail events:seen",
    ("posture", "", "unread"): "text:cause,reason",
    ("pipeline", "", ""): "text:reason",
}  # fmt: skip
_NEEDED: Mapping[tuple[str, str, str], tuple[str, ...]] = {
    ("drift", "Drift", "model"): ("rule", "start_s", "factor", "cap_s", "cooldown_s", "fixed_delay_s"),
    ("fault", "Fault", "planned"): ("limit_s", "effect_within_s", "affects_traffic"),
    ("run", "clock", "read"): ("monotonic_s", "wall_s"),
    ("jobs", "Jobs", "read"): ("wall_s",),
}
_TOPICS = frozenset(Topic)
_RUN = ("job", "pod", "period_s", "started_s")
_SAME_AS = {"rollback": "release"}  # the same stages


def check_fact(event: Event, who: str, *, error: type[RollproofError]) -> None:
    """Raise `error` for the first field that is of another type than it must be."""
    source = _SAME_AS.get(event.source, event.source)
    kind = event.subject.partition("/")[0]
    data = Outside.of(event.data, f"{who} ({event.source} {event.subject[:60]!r} {event.what[:40]!r})", error=error)
    for key in {(source, "", ""), (source, kind, ""), (source, "", event.what), (source, kind, event.what)}:
        for reader, names in _fields(key):
            for name in names:
                if name in data.value:  # what is not there is of no type, and most of them are not
                    reader(data, name)
        for name in _NEEDED.get(key, ()):
            if data.value.get(name) is None:
                data.refuse(name, "there")
    if (source, event.what) == (posturewords.SOURCE, PostureWord.READ) and kind in _TOPICS:
        from rollproof.core import posturefacts  # noqa: PLC0415 - dozens of classes, for the few runs with such facts

        posturefacts.view_of(kind, data)
    if (source, event.what) == (pipelinewords.SOURCE, PipelineWord.READ):
        from rollproof.core import pipeline  # noqa: PLC0415 - likewise

        pipeline.view_of(event.subject.partition("/")[2], data)


def _fields(key: tuple[str, str, str]) -> tuple[tuple[Callable[[Outside, str], Any], tuple[str, ...]], ...]:
    """The readers of one row, each with its fields."""
    return _PARSED.get(key, ())


def _scalar(data: Outside, name: str) -> None:
    if isinstance(data.value.get(name), dict | list):
        data.refuse(name, "one value")


def _reals(data: Outside, name: str) -> None:
    for one in _elements(data, name):
        if isinstance(one, bool) or not isinstance(one, int | float):
            data.refuse(name, "a list of numbers")


def _flags(data: Outside, name: str) -> None:
    inner = data.child(name)
    for key in inner.value:
        inner.flag(key)


def _ints(data: Outside, name: str) -> None:
    inner = data.child(name)
    for key in inner.value:
        inner.integer(key)


def _classes(data: Outside, name: str) -> None:
    """Of the self-test: name of an outcome -> [expected, reported]."""
    for pair in data.child(name).value.values():
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(one) is int for one in pair)):
            data.refuse(name, "pairs of whole numbers")


def _pods(data: Outside, name: str) -> None:
    for pod in data.objects(name):
        for key in ("name", "uid", "template_hash"):
            pod.text(key)


def _events(data: Outside, name: str) -> None:
    """Events of Kubernetes, as they are kept."""
    for one in data.objects(name):
        for key in ("object", "reason", "message"):
            one.text(key)
        one.integer("count")
        one.flag("warning")


def _runs(data: Outside, name: str) -> None:
    """Of a job report; a row with a field that we do not know, or without one that we need, is refused."""
    for run in data.objects(name):
        if unknown := run.value.keys() - {*_RUN, "finished_s", "version"}:
            run.refuse(min(unknown), "a field of a run")
        for key in ("job", "pod", "version"):
            run.text(key)
        for key in ("period_s", "started_s", "finished_s"):
            run.real(key)
        for key in _RUN:
            if run.value.get(key) is None:
                run.refuse(key, "there")


def _elements(data: Outside, name: str) -> list[Any]:
    found = data.value.get(name)
    if found is not None and not isinstance(found, list):
        data.refuse(name, "a list")
    return found or []


_READERS: Mapping[str, Callable[[Outside, str], Any]] = {
    "text": Outside.text, "int": Outside.integer, "real": Outside.real, "flag": Outside.flag, "texts": Outside.texts,
    "object": Outside.child, "scalar": _scalar, "reals": _reals, "flags": _flags, "ints": _ints, "classes": _classes,
    "pods": _pods, "runs": _runs, "events": _events,
}  # fmt: skip
_PARSED = {
    key: tuple(
        (_READERS[word], tuple(names.split(",")))
        for word, _, names in (part.partition(":") for part in row.split())
    )
    for key, row in _SHAPES.items()
}  # fmt: skip
