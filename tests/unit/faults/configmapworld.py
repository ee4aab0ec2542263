"""A real git server, a small Argo CD that brings what is pushed into the cluster, and pods with a shell."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from envserver import commit_by_somebody_else, copy_bare
from fakeapi import FakeApi
from faults.podcluster import Stage, endpoints, pod

from rollproof.clients.execute import Executed
from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.clients.settingfile import key_value
from rollproof.core.target import ConfigMapInGit, FaultSettings
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.faults.base import Ways
from rollproof.faults.configmap_key import FAULT
from rollproof.faults.settingplaces import KEY
from rollproof.store.journal import Undone

FOLDER, PATCH = "overlays/dev", "patch-configmap.yaml"
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop-config\ndata:\n  # of dev\n  ZONE: UTC\n"
_ROOT = "/var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/settings/..2026_11_30_01_02_03.4/ZONE"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@dataclass
class Shells:
    """What a shell finds in a pod: a real one, with the paths of this machine.

    `born`: what the ConfigMap had for the key when the pod was started. `writes`: whether the kubelet writes volumes
    anew. `without`: containers without a shell. `own_kernel`: mounts are named as in a virtual machine.
    """

    folder: Path
    writes: bool = True
    without: tuple[str, ...] = ()
    own_kernel: bool = False
    now: str = ""
    born: dict[str, str] = field(default_factory=lambda: {"web-1": "", "web-2": ""})

    def run(self, name: str, container: str, script: str) -> Executed:
        born = self.born[name]
        if container in self.without:
            return Executed(None, "", "no such file: sh")
        if script == "kill -0 1":
            return Executed(0)
        file, mounts = self.folder / KEY, self.folder / "mounts"
        file.unlink(missing_ok=True)
        if found := self.now if self.writes else born:
            file.write_text(found)
        root = "/rootfs" if self.own_kernel else f"{_ROOT}{'//deleted' if self.writes and self.now != born else ''}"
        mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:1 {root} /etc/a\\040shop/ZONE ro - ext4 /dev/x rw\n")
        here = script.replace("/proc/self/mountinfo", str(mounts)).replace("/etc/shop/", f"{self.folder}/")
        done = subprocess.run(
            ["sh", "-c", here], check=False, capture_output=True, text=True, env={KEY: born} if born else {}
        )
        return Executed(done.returncode, done.stdout)


class World(Stage):
    """`arrives`: whether Argo CD brings a commit, `takes_back`: and the undo; `rolls`: whether pods are replaced."""

    def furnish(self, folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        overlay = "images:\n  - name: web\n    newTag: aaaaaaa\n"
        self.bare = copy_bare(folder, {f"{FOLDER}/kustomization.yaml": overlay, f"{FOLDER}/{PATCH}": MANIFEST})
        self.arrives, self.takes_back, self.rolls, self.hashed = True, True, False, False
        self.shells = Shells(folder / "pod")
        self.shells.folder.mkdir()
        self.file = PATCH
        target = EnvRepoTarget(url=f"file://{self.bare}", overlay=FOLDER, image="web")
        repo = stack.enter_context(EnvRepo(target, {}))
        self.live = replace(self.live, repo=repo)
        self.names("shop-config", PATCH)
        self.uses(envFrom=[{"configMapRef": {"name": "shop-config"}}])
        self.api.on_patch = self.refreshed
        self.compare()
        status = {"sync": {"status": "Synced", "revision": "c" * 40}, "operationState": {"phase": "Succeeded"}}
        self.api.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": status})

        def pod_exec(
            _: Kube, _namespace: str, name: str, container: str, command: Sequence[str], **_s: Any
        ) -> Executed:
            return self.shells.run(name, container, command[-1])

        monkeypatch.setattr(Kube, "pod_exec", pod_exec)

    def names(self, name: str, file: str) -> None:
        """The target file names another ConfigMap."""
        self.file, wanted = file, ConfigMapInGit(name=name, file=file)
        limits = FaultSettings(effect_within_s=1.0, recovery_limits_s={FAULT.name: 1.5}, configmap=wanted)
        self.target = replace(self.target, faults=limits)
        self.live = replace(self.live, target=self.target)

    def uses(self, volumes: Sequence[Any] = (), more: Sequence[Any] = (), init: Sequence[Any] = (), **own: Any) -> None:
        """How the app's container, `more` of them and `init` containers come to it."""
        item = self.api.objects["deployments", "web"]
        web = {"name": "web", "image": "ghcr.io/shop/web:aaaaaaa", **own}
        spec = {"containers": [web, *more], "initContainers": list(init), "volumes": list(volumes)}
        template = {"spec": {**item["spec"]["template"]["spec"], **spec}}
        self.api.put("deployments", {**item, "spec": {**item["spec"], "template": template}})

    def push(self, text: str) -> None:
        commit_by_somebody_else(self.bare, text, f"{FOLDER}/{self.file}")

    def text(self) -> str:
        return git(self.bare, "show", f"main:{FOLDER}/{self.file}")

    def refreshed(self, plural: str, _: Any) -> None:
        if plural == "applications" and self.arrives and (self.takes_back or KEY in self.text()):
            self.compare()

    def compare(self) -> None:
        """Argo CD at work: the ConfigMap, and by its hash or somebody's care the pods."""
        value = key_value(self.file, self.text(), KEY) or ""
        changed, self.shells.now = value != self.shells.now, value
        if self.hashed:
            name = f"shop-env-{'bcdfghkmt2' if value else 'tmkhgfdcb2'}"
            self.uses(envFrom=[{"configMapRef": {"name": name}}])
        else:
            self.config_map(value)
        if changed and self.rolls:
            old = list(self.shells.born)
            new = [number + 2 * (len(old) // 2) for number in (1, 2)]
            for number in new:
                self.shells.born[f"web-{number}"] = value
                self.api.put("pods", pod(f"web-{number}", f"10.0.0.{number}"))
            self.api.put("endpointslices", endpoints(*(f"10.0.0.{number}" for number in new)))
            for name in old[-2:]:
                FakeApi.remove(self.api, "pods", name)

    def config_map(self, value: str = "", **more: Any) -> None:
        data = {"ZONE": "UTC", **({KEY: value} if value else {})}
        metadata = {"name": "shop-config", "namespace": "shop"}
        self.api.put("configmaps", {"metadata": metadata, "data": data, **more})

    def undo(self, args: Any) -> Undone:
        return FAULT.undo_by(Ways(self.target, self.live.kube, self.live.repo), args)
