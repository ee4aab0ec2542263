"""The lab's steps in order: what ``up`` does, how it finds that nothing is to be done, and what ``down`` removes.

Must never contain the work itself: each step is a function of the module that owns its subject.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lab import cluster, docker, fence, gobuild, images, platform, prerequisites, settings, workloads
from lab.cluster import Mode
from lab.gobuild import Program
from lab.images import Image
from lab.steps import CommandError, LabError, Log, Step, run_steps

__all__ = ["down", "mode_of_the_lab", "status", "steps", "up"]

_UNWELL_S = 20.0  # for so long a lab may be unwell before it is worked on: a pod that moves, Argo CD that compares
_LEASE_S = 60.0  # rollproof's
_BUILDS = ("build small programs", "build Kubernetes", "build metrics-server")


def up(mode: Mode, *, install: bool) -> int:
    """Make the lab, or complete it; a healthy lab is not changed."""
    start = time.monotonic()
    with _only_one():
        missing = prerequisites.check(mode)
        if missing and install:
            prerequisites.install(missing, Log(_logs() / "install.log"))
            missing = prerequisites.check(mode)
        if missing:
            sys.stderr.write(prerequisites.explain(missing))
            return 2
        lacking = _lacking(mode)
        if not lacking:
            sys.stdout.write(f"the lab is healthy, nothing to do ({time.monotonic() - start:.1f} s)\n")
            return 0
        if holder := _held_by():
            raise LabError(
                f"{holder}, and this lab is to be changed ({lacking}): wait for that run's end; a run that was killed "
                f"holds it for {_LEASE_S:.0f} s more, and wants `rollproof undo --all` first"
            )
        sys.stdout.write(f"to be done: {lacking}\n")
        _finished().unlink(missing_ok=True)
        _mode().write_text(_recorded(mode), encoding="utf-8")
        _sweep()
        run_steps(steps(mode), _logs())
        images.prune()
        _finished().write_text(json.dumps({"inputs": _inputs(mode)}), encoding="utf-8")
    sys.stdout.write(f"the lab is up after {time.monotonic() - start:.0f} s\n")
    workloads.describe()
    return 0


def _held_by() -> str:
    """Which run of rollproof is at work here, in words: its Lease is renewed (preflight/lock.py); "" if none is.

    What does not answer holds nothing: a lab that is broken must be mended.
    """
    if docker.find() is None:
        return ""
    words = ("get", "leases", "--all-namespaces", "--field-selector=metadata.name=rollproof", "--output=json")
    try:
        listed = cluster.kubectl(Log(_logs() / "leases.log"), *words, check=False, timeout_s=20)
    except CommandError:  # no answer in time
        return ""
    for item in json.loads(listed)["items"] if listed.strip() else []:
        spec = item["spec"]
        if not spec.get("renewTime") or not spec.get("holderIdentity"):
            continue
        age_s = (datetime.now(UTC) - datetime.fromisoformat(spec["renewTime"])).total_seconds()
        if age_s < spec.get("leaseDurationSeconds", _LEASE_S):
            return f"a run of rollproof is at work in {item['metadata']['namespace']}: {spec['holderIdentity']}"
    return ""


def down(*, with_cache: bool) -> int:
    """Remove what ``up`` made, in reverse order, and nothing else."""
    with _only_one():
        log = Log(_logs() / "down.log")
        daemon = docker.find()
        if daemon is not None:
            cluster.delete(log)
            cluster.remove_network(log)
            cluster.remove_node_images(log)
        docker.remove_own(log)
        if shutil.which("iptables"):
            fence.open_again(log)
        shutil.rmtree(settings.state(), ignore_errors=True)
        if with_cache:
            shutil.rmtree(settings.cache(), ignore_errors=True)
        _lock_file().unlink(missing_ok=True)
    sys.stdout.write(
        f"the lab is gone{', its cache too' if with_cache else f'; build outputs stay in {settings.cache()}'}\n"
    )
    return 0


def status() -> int:
    """Print the state of each part, one line each; 0 if all are healthy."""
    if not settings.state().exists():
        sys.stdout.write("there is no lab; make one with: python -m lab up\n")
        return 1
    log, mode = Log(_logs() / "status.log"), mode_of_the_lab()
    daemon = docker.find()
    rows: list[tuple[str, bool, str]] = [
        ("docker", daemon is not None, daemon.address if daemon else "no daemon answers")
    ]
    if daemon is not None:
        rows.append(("API server", cluster.api_answers(log), f"{_kubernetes(mode)}{settings.kubeconfig()}"))
        rows.append(("nodes", cluster.nodes_ready(log), ", ".join(settings.NODES)))
        rows.extend(workloads.status(mode, log))
        rows.append(_fence_row(log))
    for name, good, about in rows:
        sys.stdout.write(f"{'ok' if good else 'NOT OK':>7}  {name:<14} {about}\n")
    if daemon is not None:
        workloads.describe()
    return 0 if all(good for _, good, _ in rows) else 1


def _kubernetes(mode: Mode) -> str:
    return f"Kubernetes {mode.kubernetes}, " if mode.built else ""


def _fence_row(log: Log) -> tuple[str, bool, str]:
    subnet = cluster.network_subnet(log)
    if not subnet or not fence.is_closed(log, subnet):
        return "fence", False, "not in place; run `python -m lab up`"
    seen = fence.count(log)
    return "fence", seen.left == 0, f"{seen.refused} packets refused, {seen.left} left the lab"


def steps(mode: Mode) -> list[Step]:
    """All steps: builds in lanes of their own, then the steps that need them."""
    if not mode.built:
        return [*workloads.build_steps(mode), *_ground(mode), *_cluster(mode), *workloads.steps(mode), *_metrics()]
    return [
        *_builds(mode),
        *workloads.build_steps(mode),
        *_ground(mode),
        *_cluster(mode),
        *workloads.steps(mode),
        *_metrics(),
    ]


def _builds(mode: Mode) -> list[Step]:
    def go(name: str, *programs: Program) -> Step:
        return Step(
            name,
            lambda log: _build_all(programs, log),
            lane="go",
            is_done=lambda: all(gobuild.path_of(program).exists() for program in programs),
        )

    return [
        go("build kind", gobuild.KIND, gobuild.BOUNDED_RUNC),
        go("build small programs", gobuild.PAUSE, gobuild.ETCD, gobuild.COREDNS, gobuild.LABNET),
        go("build Kubernetes", gobuild.KUBE[mode.kubernetes]),
        go("build metrics-server", gobuild.METRICS_SERVER),
        go("build Argo CD", gobuild.ARGOCD[mode.argocd], gobuild.KUSTOMIZE),
        go("build registry", gobuild.REGISTRY),
        *([go("build Traefik", gobuild.TRAEFIK)] if mode.traefik else []),
        Step("Debian root", lambda log: _layers([images.BASE], log), lane="debian"),
        Step("node packages", lambda log: _layers(platform.debian_layers(), log), lane="debian"),
    ]


def _build_all(programs: tuple[Program, ...], log: Log) -> None:
    for program in programs:
        gobuild.build(program, log)


def _layers(wanted: list[images.Debian], log: Log) -> None:
    for layer in wanted:
        images.build(layer, log)


def _ground(mode: Mode) -> list[Step]:
    needs = ("build kind",) if mode.built else ()
    ground = [
        Step("docker", lambda log: docker.ensure(log, isolated=mode.built), needs=needs),
        Step("network", cluster.network),
    ]
    if mode.built:
        ground.append(Step("fence", lambda log: fence.close(log, cluster.network(log))))
    return ground


def _cluster(mode: Mode) -> list[Step]:
    if not mode.built:
        return [
            Step("cluster", lambda log: cluster.create(log, _config(mode, log))),
            Step("nodes ready", _wait_nodes),
            Step("metrics-server", _metrics_server),
        ]
    return [
        Step("node image", lambda log: cluster.load_node_image(log, mode), needs=(*_BUILDS, "node packages")),
        Step("cluster", lambda log: cluster.create(log, _config(mode, log))),
        Step("pod network", lambda log: _pod_network(log, mode)),
        Step("nodes ready", _wait_nodes),
        Step("metrics-server", _metrics_server),
    ]


def _metrics() -> list[Step]:
    """Last, because no step needs it: an APIService must not exist before its server is ready."""
    return [Step("metrics API", _metrics_api)]


def _config(mode: Mode, log: Log) -> str:
    archives = {}
    if mode.built:
        archives["control-plane"] = images.archive(platform.control_plane_images(mode.kubernetes), log)
        archives["worker"] = images.archive(platform.worker_images(mode.kubernetes), log)
    text = (settings.REPOSITORY / "kind-config.yaml").read_text(encoding="utf-8")
    return cluster.kind_config(mode, text, archives)


def _pod_network(log: Log, mode: Mode) -> None:
    cluster.load(log, platform.control_plane_images(mode.kubernetes), (settings.CONTROL_PLANE,))
    cluster.load(log, platform.worker_images(mode.kubernetes), settings.WORKERS)
    cluster.apply(log, settings.SOURCES / "manifests" / "labnet.yaml")
    cluster.apply(log, settings.SOURCES / "manifests" / "coredns.yaml")


def _wait_nodes(log: Log) -> None:
    try:
        cluster.wait_for(log, "three ready nodes", lambda: cluster.nodes_ready(log), timeout_s=180)
        cluster.rolled_out(log, "deployment/coredns", namespace="kube-system")
    except LabError as error:
        cluster.distrust()
        raise LabError(f"{error}; the next `python -m lab up` will make the cluster anew") from error


def _metrics_server(log: Log) -> None:
    cluster.apply(log, settings.SOURCES / "manifests" / "metrics-server.yaml")


def _metrics_api(log: Log) -> None:
    cluster.rolled_out(log, "deployment/metrics-server", namespace="kube-system")
    cluster.apply(log, settings.SOURCES / "manifests" / "metrics-api.yaml")
    cluster.wait_for(
        log,
        "node metrics",
        lambda: "cpu" in cluster.kubectl(log, "get", "--raw=/apis/metrics.k8s.io/v1beta1/nodes"),
        timeout_s=90,
        pause_s=2,
    )


def _lacking(mode: Mode) -> str:
    """What a healthy lab with these inputs has and this one has not, in words; "" if nothing.

    Looked at on the lab itself, not in a file alone; the file only records that these inputs were completed once.
    """
    log = Log(_logs() / "health.log")
    try:
        finished = json.loads(_finished().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "there is no finished lab"
    try:
        if finished.get("inputs") != _inputs(mode):
            return "the lab was made of other inputs"
        if docker.find() is None:
            return "no Docker daemon answers"
        if mode.built and not fence.is_closed(log, cluster.network_subnet(log)):
            return "the fence is not in place"
    except LabError as error:
        return f"the lab could not be looked at: {error}"
    end_s = time.monotonic() + _UNWELL_S
    while (unwell := _unwell(mode, log)) and time.monotonic() < end_s:
        time.sleep(1)
    return unwell


def _unwell(mode: Mode, log: Log) -> str:
    """What runs there and is not well at this moment; it may be well again in the next."""
    try:
        if not cluster.api_answers(log):
            return "the API server does not answer that it is ready"
        if not cluster.nodes_ready(log):
            return "a node is not ready"
        unwell = [f"{name}: {about}" for name, good, about in workloads.status(mode, log) if not good]
        return f"not well: {'; '.join(unwell)}" if unwell else ""
    except LabError as error:
        return f"the lab could not be looked at: {error}"


def _inputs(mode: Mode) -> str:
    """A hash of all inputs of the lab: if it changes, the steps run again."""
    digest = hashlib.sha256(_recorded(mode).encode())
    wanted: list[Image] = (
        [platform.node_image(mode.kubernetes), *platform.control_plane_images(mode.kubernetes), *workloads.images(mode)]
        if mode.built
        else []
    )
    for image in wanted:
        digest.update(images.image_key(image).encode())
    sources = [settings.REPOSITORY / "kind-config.yaml", *sorted(settings.SOURCES.rglob("*"))]
    for path in sources:
        if path.is_file() and path.suffix in {".yaml", ".toml", ".sql", ".php", ".conf"}:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _lock_file() -> Path:
    return settings.state().parent / "lab.lock"


def _sweep() -> None:
    """Remove what killed builds have left in the cache."""
    for path in settings.cache().glob("build-*"):
        shutil.rmtree(path, ignore_errors=True)


def _finished() -> Path:
    return settings.state() / "finished.json"


def _mode() -> Path:
    return settings.state() / "mode.json"


def _recorded(mode: Mode) -> str:
    return json.dumps(
        {"images": mode.name, "argocd": mode.argocd, "kubernetes": mode.kubernetes, "ingress": mode.ingress}
    )


def mode_of_the_lab() -> Mode:
    """The mode of the existing lab as recorded; the default if there is no record."""
    newest = Mode("built")
    try:
        said = json.loads(_mode().read_text(encoding="utf-8"))
        return Mode(
            said["images"],
            _known(said["argocd"], settings.ARGOCD_VERSIONS),
            # A lab of an older rollproof has no word about these two.
            _known(said.get("kubernetes"), settings.KUBERNETES_VERSIONS),
            _known(said.get("ingress"), settings.INGRESSES),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return newest


def _known(said: object, choices: tuple[str, ...]) -> str:
    """What was recorded; the default if there is no record, or one of another rollproof."""
    return next((choice for choice in choices if choice == said), choices[0])


def _logs() -> Path:
    return settings.state() / "logs"


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """There is one lab on a machine: a second ``up`` or ``down`` does not wait, it reports that and ends."""
    settings.cache().mkdir(parents=True, exist_ok=True)
    settings.state().mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(_lock_file(), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("another `python -m lab` is at work on this machine; wait until it has ended") from None
        yield
    finally:
        os.close(descriptor)
