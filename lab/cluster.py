"""The kind cluster: created from kind-config.yaml, verified, and accessed by kubectl inside its control plane.

Must never touch another cluster or the user's kubeconfig, and must never pull an image in the built mode.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import docker, gobuild, images, platform, settings
from lab.images import Image
from lab.steps import CommandError, LabError, Log

__all__ = [
    "Mode", "api_answers", "apply", "create", "delete", "is_current", "kind_config", "kubectl", "load", "network",
    "nodes_ready", "rolled_out", "use_registry", "wait_for",
]  # fmt: skip

_API_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Mode:
    """The kind of lab: images ``built`` here from packages and modules, or pulled from public registries; the
    versions of Argo CD and (in the built mode; kind's own node image has its own) Kubernetes; and the ingress."""

    name: str
    argocd: str = settings.ARGOCD_VERSIONS[0]
    kubernetes: str = settings.KUBERNETES_VERSIONS[0]
    ingress: str = settings.INGRESSES[0]

    @property
    def traefik(self) -> bool:
        """Whether Traefik is the ingress: for Ingresses and HTTPRoutes alike."""
        return self.ingress != settings.INGRESSES[0]

    @property
    def entry(self) -> str:
        """The kind of object by which the env repo lets users in."""
        return "HTTPRoute" if self.ingress == "traefik-gateway" else "Ingress"

    @property
    def built(self) -> bool:
        """Whether the nodes must find every image without a registry."""
        return self.name == "built"


# --- access to the cluster


def kubectl(
    log: Log,
    *arguments: str,
    stdin: str | bytes | Path | None = None,
    check: bool = True,
    timeout_s: float = 180,
) -> str:
    """Run kubectl of the control plane: always the cluster's own version, in both modes."""
    words = ("exec", "--interactive", "--env=KUBECONFIG=/etc/kubernetes/admin.conf", settings.CONTROL_PLANE, "kubectl")
    return docker.current().docker(log, *words, *arguments, stdin=stdin, check=check, timeout_s=timeout_s)


def apply(log: Log, manifest: Path | str) -> None:
    """Apply a file, a folder of ``*.yaml`` files, or a text, server-side: fields of other managers stay."""
    if isinstance(manifest, Path) and manifest.is_dir():
        for path in sorted(manifest.glob("*.yaml")):
            apply(log, path)
        return
    kubectl(
        log,
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=rollproof-lab",
        "--filename=-",
        stdin=manifest,
    )


def rolled_out(log: Log, *workloads: str, namespace: str, timeout_s: float = 180) -> None:
    """Wait until each workload (``deployment/name``) has all pods ready at its current revision."""
    for workload in workloads:
        words = ("rollout", "status", workload, f"--namespace={namespace}", f"--timeout={timeout_s:.0f}s")
        try:
            kubectl(log, *words, timeout_s=timeout_s + 30)
        except CommandError as failed:
            log.say(kubectl(log, "get", "pods,events", f"--namespace={namespace}", "--output=wide", check=False))
            raise LabError(f"{workload} in {namespace} did not roll out within {timeout_s:.0f} s: {failed}") from failed


def wait_for(log: Log, what: str, check: Callable[[], bool], *, timeout_s: float, pause_s: float = 0.5) -> None:
    """Wait until ``check`` is true; a command that fails meanwhile counts as false. LabError after ``timeout_s``."""
    end_s = time.monotonic() + timeout_s
    while True:
        try:
            if check():
                return
        except CommandError as failed:
            log.say(f"not yet: {failed}")
        if time.monotonic() > end_s:
            raise LabError(f"waited {timeout_s:.0f} s for {what}, without success")
        time.sleep(pause_s)


def api_answers(log: Log) -> bool:
    """Whether the API server reports that it is ready."""
    return kubectl(log, "get", "--raw=/readyz", check=False, timeout_s=20).strip() == "ok"


def nodes_ready(log: Log) -> bool:
    """Whether all three nodes exist, are ready, and are schedulable as intended."""
    listed = kubectl(log, "get", "nodes", "--output=json", check=False, timeout_s=30)
    if not listed.strip():
        return False
    ready = [
        node["metadata"]["name"]
        for node in json.loads(listed)["items"]
        if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    ]
    return sorted(ready) == sorted(settings.NODES)


# --- making and removing it


def kind_config(mode: Mode, text: str, archives: dict[str, Path]) -> str:
    """kind-config.yaml with what the lab needs added, line by line, so that a person's own changes stay.

    ``archives``: for a role (control-plane, worker), the archives that its nodes import at start (built mode).
    """
    lines: list[str] = []
    roles = 0
    for line in text.splitlines():
        lines.append(line)
        if line.strip() == "networking:" and mode.built:
            lines.append("  disableDefaultCNI: true")
        if line.startswith("- role: "):
            roles += 1
            lines.extend(_node_lines(mode, line.removeprefix("- role: ").split()[0], archives))
    if (
        roles != len(settings.NODES)
        or f"name: {settings.CLUSTER}" not in lines
        or (mode.built and "networking:" not in lines)
    ):
        raise LabError(
            f"kind-config.yaml must keep the name {settings.CLUSTER}, a `networking:` line and {len(settings.NODES)} "
            f"lines `- role: ...` at the left edge; found {roles} roles"
        )
    policy = hashlib.sha256(_audit_policy().encode()).hexdigest()[:12]
    return "\n".join([f"# audit policy {policy}", *lines, *_kubeadm_lines(mode), ""])


def _audit_policy() -> str:
    return (settings.SOURCES / "node" / "audit-policy.yaml").read_text(encoding="utf-8")


def _node_lines(mode: Mode, role: str, archives: dict[str, Path]) -> list[str]:
    mounts = []
    if role == "control-plane":
        audit = settings.audit_log().parent
        mounts += [
            (audit, "/var/log/kubernetes-audit", False),
            (settings.state() / "audit-policy.yaml", "/etc/audit-policy.yaml", True),
        ]
    mounts.append((settings.cache() / "archives", "/kind/archives", True))
    if mode.built:
        mounts.append((archives[role], "/kind/images/platform.tar", True))
    lines = [f"  image: {platform.node_image(mode.kubernetes).name}"] if mode.built else []
    lines.append("  extraMounts:")
    for host, inside, read_only in mounts:
        lines.append(
            f"  - {{hostPath: {json.dumps(str(host))}, containerPath: {inside}, readOnly: {str(read_only).lower()}}}"
        )
    return lines


def _kubeadm_lines(mode: Mode) -> list[str]:
    """The audit log; for nodes that are built here, etcd and the kubelet as well, and CoreDNS left to our own manifest.

    kind speaks kubeadm's v1beta3 to Kubernetes below 1.36 and v1beta4 from there on, and leaves a patch of the other
    version out. Arguments are a mapping in the one and a list in the other, to which is added, for kind has its own.
    """
    lines = [
        "kubeadmConfigPatches:",
        *_patch("ClusterConfiguration", "apiServer: {extraVolumes: " + json.dumps(_AUDIT_VOLUMES) + "}"),
        *_patch(
            "ClusterConfiguration",
            "apiServer: {extraArgs: " + json.dumps(_AUDIT_ARGUMENTS) + "}",
            version="kubeadm.k8s.io/v1beta3",
        ),
    ]
    if mode.built:
        # The kubelet refuses cgroup v1 of itself since 1.35; on cgroup v2 the line says nothing.
        lines += _patch("KubeletConfiguration", "cgroupDriver: cgroupfs", "failCgroupV1: false")
        lines += _patch("InitConfiguration", "skipPhases: [preflight, addon/coredns]")
        lines += _patch("ClusterConfiguration", f"etcd: {{local: {{imageTag: {platform.ETCD_TAG}}}}}")
    lines += ["kubeadmConfigPatchesJSON6902:", "- group: kubeadm.k8s.io", "  version: v1beta4"]
    lines += ["  kind: ClusterConfiguration", "  patch: |"]
    for name, value in _AUDIT_ARGUMENTS.items():
        argument = json.dumps({"name": name, "value": value})
        lines.append(f"    - {{op: add, path: /apiServer/extraArgs/-, value: {argument}}}")
    return lines


_AUDIT_ARGUMENTS = {
    "audit-policy-file": "/etc/kubernetes/audit-policy.yaml",
    "audit-log-path": "/var/log/kubernetes-audit/audit.log",
    "audit-log-maxsize": "100",
    "audit-log-maxbackup": "2",
}
_AUDIT_VOLUMES = [
    {
        "name": "audit-policy",
        "hostPath": "/etc/audit-policy.yaml",
        "mountPath": "/etc/kubernetes/audit-policy.yaml",
        "readOnly": True,
        "pathType": "File",
    },
    {
        "name": "audit-log",
        "hostPath": "/var/log/kubernetes-audit",
        "mountPath": "/var/log/kubernetes-audit",
        "readOnly": False,
        "pathType": "DirectoryOrCreate",
    },
]


def _patch(kind: str, *lines: str, version: str = "") -> list[str]:
    """One merge patch; without a version it is for every version of its kind."""
    return [
        "- |",
        *([f"  apiVersion: {version}"] if version else []),
        f"  kind: {kind}",
        *(f"  {line}" for line in lines),
    ]


def _marker() -> Path:
    return settings.state() / "cluster.json"


def _identity(config: str) -> str:
    return hashlib.sha256(config.encode()).hexdigest()[:24]


def is_current(log: Log, config: str) -> bool:
    """Whether the running cluster was created completely from this configuration, and answers."""
    try:
        made = json.loads(_marker().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if made.get("identity") != _identity(config) or _running(log) != sorted(settings.NODES):
        return False
    try:
        wait_for(log, "the API server", lambda: api_answers(log), timeout_s=_API_PATIENCE_S)
    except LabError:
        return False
    return True


def distrust() -> None:
    """Forget that the cluster is complete: the next ``create`` creates it again."""
    _marker().unlink(missing_ok=True)


def create(log: Log, config: str) -> str:
    """The cluster, kept if it is current, else created again; what a killed run left is removed first."""
    if is_current(log, config):
        return "kept"
    delete(log)
    place = settings.state()
    settings.audit_log().parent.mkdir(parents=True, exist_ok=True)
    settings.audit_log().unlink(missing_ok=True)
    (place / "audit-policy.yaml").write_text(_audit_policy(), encoding="utf-8")
    path = place / "kind-config.yaml"
    path.write_text(config, encoding="utf-8")
    _check_ports()
    kubeconfig = f"--kubeconfig={settings.kubeconfig()}"
    words = ("create", "cluster", f"--config={path}", kubeconfig, "--retain", "--verbosity=1")
    daemon = docker.current()
    log.run(_kind(log), *words, env=daemon.env(), timeout_s=480)
    # Nodes that restarted by themselves, before the fence exists and with new addresses, would not work.
    daemon.docker(log, "update", "--restart=no", *settings.NODES)
    _marker().write_text(json.dumps({"identity": _identity(config)}), encoding="utf-8")
    return ""


def delete(log: Log) -> None:
    """Remove the cluster's nodes, in whatever state they are."""
    _marker().unlink(missing_ok=True)
    daemon = docker.current()
    found = daemon.docker(
        log, "ps", "--all", "--quiet", f"--filter=label=io.x-k8s.kind.cluster={settings.CLUSTER}"
    ).split()
    if found:
        daemon.docker(log, "rm", "--force", "--volumes", *found, timeout_s=180)
    settings.kubeconfig().unlink(missing_ok=True)


def _check_ports() -> None:
    for port in (settings.INGRESS_PORT, settings.GIT_PORT, settings.REGISTRY_PORT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise LabError(
                    f"the lab publishes 127.0.0.1:{port}, which is taken ({error.strerror}); see who listens there "
                    f"with `ss -ltnp 'sport = :{port}'` and end it"
                ) from error


def network(log: Log) -> str:
    """The lab's own Docker network, with a fixed bridge name for the fence; returns its subnet."""
    if not (subnet := network_subnet(log)):
        option = f"--opt=com.docker.network.bridge.name={settings.BRIDGE}"
        docker.current().docker(log, "network", "create", "--driver=bridge", option, settings.NETWORK)
        subnet = network_subnet(log)
    return subnet


def network_subnet(log: Log) -> str:
    """The network's subnet; "" if the network does not exist."""
    daemon = docker.current()
    if not daemon.docker(log, "network", "ls", "--quiet", f"--filter=name=^{settings.NETWORK}$").strip():
        return ""
    template = "--format={{(index .IPAM.Config 0).Subnet}}"
    return daemon.docker(log, "network", "inspect", template, settings.NETWORK).strip()


def remove_network(log: Log) -> None:
    """Remove the lab's own network; it is no error if it does not exist."""
    docker.current().docker(log, "network", "rm", settings.NETWORK, check=False)


def remove_node_images(log: Log) -> None:
    """Remove the node images from a daemon that is not ours (ours is removed with all its data)."""
    daemon = docker.current()
    found = daemon.docker(log, "images", "--quiet", "rollproof-lab/node").split()
    if found:
        daemon.docker(log, "rmi", "--force", *found, check=False)


def _running(log: Log) -> list[str]:
    words = ("ps", f"--filter=label=io.x-k8s.kind.cluster={settings.CLUSTER}", "--format={{.Names}}")
    return sorted(docker.current().docker(log, *words).split())


def _kind(log: Log) -> Path:
    """Our own build of a known version; without Go (public images), the installed kind."""
    if gobuild.find_go() is None and (installed := shutil.which("kind")):
        return Path(installed)
    return gobuild.build(gobuild.KIND, log)


# --- images


def load_node_image(log: Log, mode: Mode) -> str:
    """Load the node image into Docker; its tag names its content, so an existing one is the right one."""
    image = platform.node_image(mode.kubernetes)
    daemon = docker.current()
    if daemon.docker(log, "images", "--quiet", image.name).strip():
        return "kept"
    daemon.docker(log, "load", stdin=images.archive([image], log), timeout_s=300)
    return ""


def use_registry(log: Log) -> None:
    """Tell the nodes where the registry of the app's images is: containerd reads that file at each pull."""
    text = (settings.SOURCES / "node" / "hosts.toml").read_text(encoding="utf-8")
    folder = f"/etc/containerd/certs.d/{settings.REGISTRY_NAME}"
    write = f"mkdir -p {folder} && cat > {folder}/hosts.toml"
    for node in settings.NODES:
        docker.current().docker(log, "exec", "--interactive", node, "sh", "-c", write, stdin=text)


def load(log: Log, wanted: Sequence[Image], nodes: Sequence[str] = settings.NODES) -> str:
    """Import the images that the nodes lack, in one archive, all nodes in parallel."""
    ids = {image.name: images.config_digest(image, log) for image in wanted}
    with ThreadPoolExecutor(len(nodes)) as pool:
        return "; ".join(note for note in pool.map(lambda node: _load(log, node, wanted, ids), nodes) if note) or "kept"


def _load(log: Log, node: str, wanted: Sequence[Image], ids: dict[str, str]) -> str:
    present = _images_of(log, node)
    missing = [
        image
        for image in wanted
        if present.get(image.name) is None or present.get(image.name) != present.get(f"sha256:{ids[image.name]}")
    ]
    if not missing:
        return ""
    archive = f"/kind/archives/{images.archive(missing, log).name}"
    words = ("ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", archive)
    docker.current().docker(log, "exec", node, *words, timeout_s=300)
    return f"{len(missing)} to {node.removeprefix(settings.CLUSTER + '-')}"


def _images_of(log: Log, node: str) -> dict[str, str]:
    """Image name -> manifest digest; the kubelet also uses the digest of the config, and both must agree."""
    listed = docker.current().docker(log, "exec", node, "ctr", "--namespace=k8s.io", "images", "ls")
    rows = (line.split() for line in listed.splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2}
