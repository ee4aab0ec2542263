"""Setting places: where the containers of a pod come to a key that a ConfigMap gets, and whether a pod has it there.

An environment is read once, at the start. A volume is written anew under the running container, but not the file that
is mounted from it by subPath: the container keeps the one that was removed. Single keys (`items`, `configMapKeyRef`)
take no further one, and an init container has ended.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.kustomize import is_hashed
from rollproof.core.outside import Outside
from rollproof.faults.inside import execute

__all__ = ["KEY", "Place", "Way", "has_key", "in_use", "places_of", "subpath_asked", "why_no_place"]

KEY = "ROLLPROOF_MARK"  # a name that an environment and a file may have
# By what every shell has itself: an image may have a shell and no cat.
_FILE = 'IFS= read -r line < {path}; printf %s "$line"'
_MOUNTS = 'while IFS= read -r line; do printf "%s\\n" "$line"; done < /proc/self/mountinfo'
_WRITTEN = re.compile(r"/\.\.\d{4}_\d\d_\d\d_")  # the kubelet's own folder of one writing of a volume
_REMOVED = "//deleted"  # what Linux says of a mounted file that has been removed
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Way(StrEnum):
    """How a container comes to a ConfigMap."""

    ENVIRONMENT = "environment"
    VOLUME = "volume"
    SUBPATH = "subpath"


@dataclass(frozen=True, slots=True)
class Place:
    """One of them. `where`: the name of the variable, or the path of the mount."""

    container: str
    way: Way
    where: str

    def __str__(self) -> str:
        """In words."""
        place = {
            Way.ENVIRONMENT: f"the variable {self.where}", Way.VOLUME: f"the folder {self.where}",
            Way.SUBPATH: f"the file {self.where} (by subPath)",
        }  # fmt: skip
        return f"{place[self.way]} of container {self.container}"

    def args(self) -> dict[str, str]:
        """For the args of an injection."""
        return {"container": self.container, "way": self.way, "where": self.where}

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Place:
        """The other way."""
        return cls(str(args["container"]), Way(args["way"]), str(args["where"]))


def in_use(pod: Outside, name: str) -> tuple[str, ...]:
    """The names under which a pod's spec uses a ConfigMap: the name itself, or with the hash of a generator."""
    used = {used for volume in pod.objects("volumes") for used, _ in _sources(volume)}
    for one in (*pod.objects("containers"), *pod.objects("initContainers")):
        used |= {each.child("configMapRef").text("name") for each in one.objects("envFrom")}
        used |= {each.child("valueFrom").child("configMapKeyRef").text("name") for each in one.objects("env")}
    return tuple(sorted(one for one in used if one == name or is_hashed(one, name)))


def places_of(pod: Outside, name: str) -> tuple[Place, ...]:
    """Each place where a container that runs comes to a key that this ConfigMap gets, by a pod's spec."""
    running = [one for one in pod.objects("initContainers") if one.text("restartPolicy") == "Always"]
    volumes = _whole_volumes(pod, name)
    return tuple(place for one in (*pod.objects("containers"), *running) for place in _places(one, name, volumes))


def why_no_place(pod: Outside, name: str) -> str:
    """Why there is no such place."""
    volumes = _whole_volumes(pod, name)
    ended = [one.text("name") for one in pod.objects("initContainers") if any(_places(one, name, volumes))]
    if ended:
        who = f"only init container {', '.join(ended)} has all of ConfigMap {name}"
        return f"{who}: it has ended in each running pod, so that none can be asked, and none sees a change"
    return f"no container has a key of ConfigMap {name} that is added to it"


def has_key(kube: Kube, namespace: str, pod: str, place: Place, value: str) -> bool | None:
    """Whether a pod has the key with that value there; None where it cannot be told (yet).

    By subPath only that it does not: once the volume was written anew, the container's file is one that was removed.
    """
    if place.way is Way.SUBPATH:
        return False if _mounted(kube, namespace, pod, place).endswith(_REMOVED) else None
    if place.way is Way.ENVIRONMENT:
        said = _said(kube, namespace, pod, place, f'printf %s "${place.where}"')
        return None if said is None else said == value
    return _said(kube, namespace, pod, place, _FILE.format(path=shlex.quote(f"{place.where}/{KEY}"))) == value


def subpath_asked(kube: Kube, namespace: str, pod: str, place: Place) -> bool:
    """Whether a container can tell that its file is not the volume's any more: not on a kernel of its own (gVisor)."""
    return bool(_WRITTEN.search(_mounted(kube, namespace, pod, place)))


def _whole_volumes(pod: Outside, name: str) -> frozenset[str]:
    """The volumes that have all keys of a ConfigMap."""
    return frozenset(
        volume.text("name") for volume in pod.objects("volumes") if (name, True) in _sources(volume)
    )  # fmt: skip


def _sources(volume: Outside) -> Iterator[tuple[str, bool]]:
    """The ConfigMaps of a volume, and whether it takes all of their keys."""
    projected = volume.child("projected").objects("sources")
    for one in (volume.child("configMap"), *(each.child("configMap") for each in projected)):
        yield one.text("name"), not one.objects("items")


def _places(container: Outside, name: str, volumes: Iterable[str]) -> Iterator[Place]:
    who = container.text("name")
    for one in container.objects("volumeMounts"):
        if one.text("name") in volumes:
            part = one.text("subPath") or one.text("subPathExpr")
            yield Place(who, Way.SUBPATH if part else Way.VOLUME, one.text("mountPath").rstrip("/"))
    for one in container.objects("envFrom"):
        if one.child("configMapRef").text("name") == name:
            yield Place(who, Way.ENVIRONMENT, one.text("prefix") + KEY)


def _mounted(kube: Kube, namespace: str, pod: str, place: Place) -> str:
    """What is mounted there, as a path of the node's own file system; "" if the container does not say."""
    lines = [line.split(" ") for line in (_said(kube, namespace, pod, place, _MOUNTS) or "").splitlines()]
    found = [line[3] for line in lines if len(line) > 4 and _plain(line[4]) == place.where]
    return found[-1] if found else ""


def _said(kube: Kube, namespace: str, pod: str, place: Place, script: str) -> str | None:
    """What a command says in that container; None where it fails, and for a pod that has gone meanwhile."""
    try:
        done = execute(kube, namespace, pod, place.container, script)
    except ApiError as error:
        if error.status != 404:
            raise
        return None
    return done.output.strip() if done.code == 0 else None


def _plain(escaped: str) -> str:
    return _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), escaped)
