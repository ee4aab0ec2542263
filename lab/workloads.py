"""Deploys everything that runs in the cluster, in order; each step waits for a fact and not for a time.

Every step first checks whether its work is done: the pods have a hash of their inputs. Must never print a secret value;
must never overwrite the env repo, which belongs to the lab's users once it is filled.
"""

from __future__ import annotations

import functools
import hashlib
import http
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import applications, apprepo, cluster, credentials, envrepo, gobuild, registry, settings, workload_images
from lab import images as image_store
from lab.cluster import Mode
from lab.gobuild import Program
from lab.images import Image
from lab.steps import Log, Step

__all__ = ["NAMESPACES", "build_steps", "describe", "images", "releases", "status", "steps"]

NAMESPACES = (
    *("argocd", "ingress-nginx", "git", "registry", "database"),
    *(f"angelpay-{name}" for name in applications.ENVIRONMENTS),
)
_CONTENT = "rollproof.lab/content"
_MAKING = threading.Lock()
_OWN = "docker.io/rollproof-lab/"
_NAME = workload_images.APP_NAME.partition("/")[2]  # of the app's images in the registry


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the platform: its manifests in order, the workloads to wait for, and its other inputs.

    ``images`` are names without a tag. ``crds`` are applied first: a folder of a Go module, as (program whose go.mod
    says which version, module, folder).
    """

    name: str
    namespace: str
    manifests: tuple[str, ...]
    workloads: tuple[str, ...]
    images: tuple[str, ...]
    sources: tuple[str, ...] = ()
    crds: tuple[Program, str, str] | None = None


def _bare(image: str) -> str:
    return image.rpartition(":")[0]


_NGINX = Component(
    "ingress",
    "ingress-nginx",
    ("ingress/ingress.yaml",),
    ("daemonset/ingress",),
    (_bare(workload_images.INGRESS_IMAGE),),
)
# The same objects by name, so that a lab changes from one to the other in place. Only here are the CRDs of the Gateway
# API: many clusters do not have them, and the default lab shows what is said there.
_TRAEFIK = Component(
    "ingress",
    "ingress-nginx",
    ("traefik/gateway.yaml", "traefik/ingress.yaml"),
    ("daemonset/ingress",),
    (_bare(workload_images.TRAEFIK_IMAGE),),
    sources=("go/traefik/go.mod",),
    crds=(gobuild.TRAEFIK, "sigs.k8s.io/gateway-api", "config/crd/standard"),
)
INGRESS: Mapping[str, Component] = {"nginx": _NGINX, "traefik": _TRAEFIK, "traefik-gateway": _TRAEFIK}
GIT = Component("git server", "git", ("git/git.yaml",), ("deployment/git",), (_bare(workload_images.GIT_IMAGE),))
REGISTRY = Component(
    "registry",
    "registry",
    ("imageregistry/registry.yaml",),
    ("deployment/registry",),
    (_bare(workload_images.REGISTRY_IMAGE),),
)
DATABASE = Component(
    "database",
    "database",
    ("database/database.yaml",),
    ("deployment/mariadb",),
    (_bare(workload_images.DATABASE_IMAGE),),
    sources=("database/initialise.sh", "database/schema.sql"),
)
ARGOCD = Component(
    "argo cd",
    "argocd",
    # The workloads come last: when they are ready, everything before them exists, wherever an earlier run was killed.
    ("argocd/crds.yaml", "argocd/project.yaml", "argocd/config.yaml", "argocd/rbac.yaml", "argocd/workloads.yaml"),
    ("deployment/argocd-redis", "deployment/argocd-repo-server", "statefulset/argocd-application-controller"),
    (workload_images.ARGOCD_REPOSITORY, _bare(workload_images.REDIS_IMAGE)),
)


def components(mode: Mode) -> tuple[Component, ...]:
    """The parts of the platform in this mode."""
    return (INGRESS[mode.ingress], DATABASE, REGISTRY, GIT, ARGOCD)


def build_steps(mode: Mode) -> tuple[Step, ...]:
    """Steps that need no cluster; in the built mode they run while the cluster is created."""
    return (
        Step("workload packages", _build_packages, lane="debian"),
        Step(
            "workload images",
            lambda log: _build(mode, log),
            lane="workload images",
            needs=("workload packages", *_programs(mode)),
        ),
    )


def _programs(mode: Mode) -> tuple[str, ...]:
    if not mode.built:
        return ()
    return ("build Argo CD", "build registry", *(("build Traefik",) if mode.traefik else ()))


def steps(mode: Mode) -> tuple[Step, ...]:
    """Steps that need the cluster, in lanes, because the parts of the platform are independent."""

    def component(which: Component, lane: str) -> Step:
        return Step(which.name, lambda log: _deploy(which, mode, log), lane=lane, needs=("load workload images",))

    built = ("workload images",) if mode.built else ()
    return (
        Step("namespaces and secrets", _secrets, lane="workloads", needs=("nodes ready",)),
        Step("load workload images", lambda log: _load(mode, log), lane="workloads", needs=built),
        component(INGRESS[mode.ingress], "ingress"),
        component(DATABASE, "database"),
        Step("nodes' registry", cluster.use_registry, lane="registry", needs=("nodes ready",)),
        component(REGISTRY, "registry"),
        Step("push releases", _push, lane="registry"),
        component(GIT, "workloads"),
        # An HTTPRoute that comes before its CRD is a sync that fails, and Argo CD tries a revision no more.
        Step(
            "env repo",
            lambda log: _seed(mode, log),
            lane="workloads",
            needs=("ingress",) if mode.entry == "HTTPRoute" else (),
        ),
        component(ARGOCD, "workloads"),
        Step("applications", applications.deploy, lane="workloads", needs=("ingress", "database", "push releases")),
        *(() if mode.traefik else (Step("no Gateway API", _without_gateway_api, lane="workloads"),)),
    )


def status(mode: Mode, log: Log) -> list[tuple[str, bool, str]]:
    """Each part of the platform and each Application: its name, whether it is well, and its state in words."""
    about = {ARGOCD.name: f"{mode.argocd}: ", INGRESS[mode.ingress].name: f"{mode.ingress}: "}
    rows = [
        (
            each.name,
            _is_deployed(each, _content(each, mode), log),
            about.get(each.name, "") + ", ".join(each.workloads),
        )
        for each in components(mode)
    ]
    rows += [_entry_row(mode, log), _releases_row()]
    return [*rows, *applications.rows(log)]


def _entry_row(mode: Mode, log: Log) -> tuple[str, bool, str]:
    found = envrepo.entry(log)
    return "env repo", found in ("", mode.entry), f"lets users in by {found or 'nothing that the lab knows'}"


def _releases_row() -> tuple[str, bool, str]:
    known, place = releases(), _registry()
    lacking = [name for name, sha in known.items() if not registry.holds(place, _NAME, sha)]
    about = f"not in the registry: {', '.join(lacking)}" if lacking else f"{len(known)} in the registry"
    return "releases", not lacking, about


def describe() -> None:
    """Print what a person needs next: addresses, the file with the credentials, and the releases."""
    made = releases()
    names = " ".join(f"angelpay-{name}.lab" for name in applications.ENVIRONMENTS)
    sys.stdout.write(
        f"ingress      http://127.0.0.1:{settings.INGRESS_PORT}  with Host: {names} control.lab\n"
        f"env repo     {envrepo.URL}  (pushing: GIT_USERNAME and GIT_PASSWORD in {settings.credentials()})\n"
        f"registry     {_registry().url}  for {settings.REGISTRY_NAME}  (REGISTRY_USERNAME, REGISTRY_PASSWORD)\n"
        f"kubeconfig   {settings.kubeconfig()}  context {settings.CONTEXT}\n"
        f"releases     {'  '.join(f'{name} {sha}' for name, sha in made.items())}\n"
    )


def releases() -> dict[str, str]:
    """The short sha of each release of the app by its name; also written to a file for the harness."""
    with _MAKING:  # lanes ask at the same time, and the repository is read by others once it is there
        return _made(settings.state())


@functools.cache
def _made(state: Path) -> dict[str, str]:
    made = apprepo.build(state / "app.git")
    path = state / "releases.json"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return made


# --- images -----------------------------------------------------------------------------------------------------------


def images(mode: Mode) -> tuple[Image, ...]:
    """All images that the lab makes for the workloads in this mode."""
    return (*_platform(mode), workload_images.tools(), *_app())


def _platform(mode: Mode) -> tuple[Image, ...]:
    """All images of the platform, or, if public images are pulled, only those that have no public one."""
    made = workload_images.platform_images(mode.argocd, traefik=mode.traefik)
    return tuple(image for image in made if mode.built or image.name.startswith(_OWN))


def _app() -> tuple[Image, ...]:
    return workload_images.app_images(settings.state() / "app.git", releases(), settings.state() / "releases")


def _build_packages(log: Log) -> None:
    for layer in workload_images.debian_layers():
        image_store.build(layer, log)


def _build(mode: Mode, log: Log) -> str:
    platform, app = _platform(mode), _app()
    image_store.archive(platform, log)
    image_store.archive([workload_images.tools()], log)
    for layer in dict.fromkeys(layer for image in app for layer in image.layers):
        image_store.build(layer, log)
    return f"{len(platform)} of the platform, {len(app)} releases of the app"


def _load(mode: Mode, log: Log) -> str:
    """Import the platform's images on the control plane and the tools on the workers; the app's are pulled."""
    tools = cluster.load(log, [workload_images.tools()], settings.WORKERS)
    return "; ".join(sorted({cluster.load(log, _platform(mode), (settings.CONTROL_PLANE,)), tools}))


def _registry() -> registry.Registry:
    made = credentials.ensure(settings.credentials())
    return registry.Registry(f"127.0.0.1:{settings.REGISTRY_PORT}", made.registry_password, "basic")


def _push(log: Log) -> str:
    """Push every release under its sha, as the pipeline would; what is there already is left."""
    place = _registry()
    cluster.wait_for(
        log, f"the registry at {place.url} to take its login", lambda: registry.answers(place), timeout_s=60
    )
    app = _app()
    for image in app:
        registry.push(place, _NAME, image.name.rpartition(":")[2], [registry.platform_image(image, log)])
    return f"{len(app)} releases"


# --- platform ---------------------------------------------------------------------------------------------------------


def _deploy(component: Component, mode: Mode, log: Log) -> str:
    content = _content(component, mode)
    if _is_deployed(component, content, log):
        return "kept"
    if component.crds:
        program, module, folder = component.crds
        cluster.apply(log, gobuild.module_folder(program, module, log) / folder)
        cluster.kubectl(log, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    for name in component.manifests:
        cluster.apply(log, _manifest(name, mode).replace("@CONTENT@", content))
        if name.endswith("crds.yaml"):
            cluster.kubectl(log, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    cluster.rolled_out(log, *component.workloads, namespace=component.namespace)
    if component is INGRESS[mode.ingress]:
        cluster.wait_for(log, "the ingress to answer on the host", _ingress_answers, timeout_s=60)
    return ""


def _without_gateway_api(log: Log) -> str:
    """Take away what Traefik has left, when no Application needs it any more."""
    kinds = "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings"
    found = cluster.kubectl(log, "get", kinds, "--output=name").split()
    left = [name for name in found if name.endswith(".gateway.networking.k8s.io")]
    if not left:
        return "kept"
    # The policy first: it says which changes of the CRDs are allowed.
    cluster.kubectl(log, "delete", *sorted(left, key=lambda name: "policy" not in name))
    return f"{len(left)} objects deleted"


def _manifest(name: str, mode: Mode) -> str:
    return (settings.SOURCES / name).read_text(encoding="utf-8").replace("@ARGOCD@", mode.argocd)


def _content(component: Component, mode: Mode) -> str:
    """A hash of a component's inputs: the pods have it as an annotation, so a change replaces them."""
    digest = hashlib.sha256(b"component 1")
    for name in (*component.manifests, *component.sources):
        digest.update(_manifest(name, mode).encode())
    for image in workload_images.platform_images(mode.argocd, traefik=mode.traefik):
        if _bare(image.name) in component.images:
            digest.update(image_store.image_key(image).encode())
    return digest.hexdigest()[:16]


def _is_deployed(component: Component, content: str, log: Log) -> bool:
    words = ("get", *component.workloads, f"--namespace={component.namespace}", "--ignore-not-found", "--output=json")
    listed = cluster.kubectl(log, *words, check=False)
    if not listed.strip():
        return False
    found = json.loads(listed)
    items = found.get("items", [found])
    return len(items) == len(component.workloads) and all(_runs(item, content) for item in items)


def _runs(workload: Mapping[str, Any], content: str) -> bool:
    """Whether every pod of the workload has these inputs and is ready."""
    annotations = workload["spec"]["template"]["metadata"].get("annotations", {})
    status = workload["status"]
    wanted = status.get("desiredNumberScheduled", workload["spec"].get("replicas"))
    updated = status.get("updatedNumberScheduled", status.get("updatedReplicas"))
    ready = status.get("numberReady", status.get("readyReplicas"))
    seen = status.get("observedGeneration") == workload["metadata"]["generation"]
    return bool(annotations.get(_CONTENT) == content and seen and wanted and wanted == updated == ready)


def _ingress_answers() -> bool:
    return applications.get("control.lab", "/")[0] == http.HTTPStatus.OK


# --- secrets ----------------------------------------------------------------------------------------------------------


def _secrets(log: Log) -> None:
    made = credentials.ensure(settings.credentials())
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES
    ]
    objects += credentials.secret_objects(made)
    objects.append(_database_init())
    # As a List on stdin: the log shows names only, and server-side apply keeps no copy in an annotation.
    cluster.apply(log, json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def _database_init() -> dict[str, Any]:
    folder = settings.SOURCES / "database"
    files = {
        "initialise.sh": (folder / "initialise.sh").read_text(encoding="utf-8"),
        # Not *.sql: the image would run that once, in no database; initialise.sh runs it in each.
        "schema.txt": (folder / "schema.sql").read_text(encoding="utf-8"),
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mariadb-init", "namespace": "database"},
        "data": files,
    }


def _seed(mode: Mode, log: Log) -> str:
    """Fill the env repo by a push, as the pipeline would. In one that has a main branch only the entry is changed."""
    made = credentials.ensure(settings.credentials())
    cluster.wait_for(log, "the git server to answer on the host", lambda: envrepo.answers(log), timeout_s=60)
    work = Path(tempfile.mkdtemp(prefix="env-repo-"))
    try:
        if not envrepo.head(log):
            envrepo.seed(log, work / "new", releases()["first"], made)
        return envrepo.let_in_by(log, work / "clone", mode.entry, made)
    finally:
        shutil.rmtree(work, ignore_errors=True)
