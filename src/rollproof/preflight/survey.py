"""Survey: what a target file needs to know, asked of a cluster and its Argo CD. Reads only.

What cannot be known from there (which path tells the version, who may push) is left to the person; what was assumed is
said in the notes of the Survey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rollproof.clients.kube import KINDS, ApiError, Kube
from rollproof.core.outside import Outside
from rollproof.core.survey import Survey
from rollproof.errors import InputError
from rollproof.preflight.entry import Entry, of_ingresses, of_routes, with_gateway
from rollproof.probes.views import image_name, image_tag

__all__ = ["ask"]

_TRAEFIK = "app.kubernetes.io/name=traefik"
_INGRESS_CONTROLLERS = ("app.kubernetes.io/name=ingress-nginx", _TRAEFIK, "app=ingress")
# of pods that were made for one Gateway: GEP-1762 (NGINX Gateway Fabric, Istio and others), in its namespace
_OF_GATEWAY = "gateway.networking.k8s.io/gateway-name"
_ENVOY = "gateway.envoyproxy.io/owning-gateway-"  # Envoy Gateway, in a namespace of its own
_REVISION = "deployment.kubernetes.io/revision"
_TAGS = 3


def ask(kube: Kube, application: str = "", deployment: str = "") -> Survey:
    """Ask for the named Application (NAME, or NAMESPACE/NAME), or the only one, and for the named Deployment of it.

    InputError, with the names to choose from, where that leaves a choice; ApiError where it may not be read.
    """
    chosen = _application(kube, application)
    notes: list[str] = []
    spec = chosen.child("spec")
    source = _source(spec, notes)
    namespace = spec.child("destination").text("namespace")
    if not namespace:
        raise InputError(f"Application {_name(chosen)} names no destination namespace", "write the file by hand")
    services = _list(kube, "Service", namespace)
    routes = _list(kube, "HTTPRoute", namespace, notes)
    entry = [*of_ingresses(_list(kube, "Ingress", namespace, notes)), *of_routes(routes, namespace)]
    workload = _deployment(_list(kube, "Deployment", namespace), deployment, services, entry)
    service = _service(services, workload, entry)
    if not service:
        notes.append(f"no Service in {namespace} selects the pods of {_name(workload)}")
    ours = sorted((one for one in entry if one.service == service), key=lambda one: not one.host)
    rule = with_gateway(kube, ours[0] if service and ours else Entry(), namespace, notes)
    if not rule.host:
        notes.append("no Ingress and no HTTPRoute with a host leads to the Service: app.base_url is a guess")
    container = _container(workload, notes)
    image = container.text("image")
    replica_sets = [one for one in _list(kube, "ReplicaSet", namespace) if _owner(one) == _uid(workload)]
    autoscalers = _list(kube, "HorizontalPodAutoscaler", namespace, notes)
    ingress_namespace, ingress_selector = _controller(kube, rule, notes)
    several = len(_containers(workload)) > 1
    return Survey(
        argocd_namespace=chosen.child("metadata").text("namespace"),
        application=_name(chosen),
        project=spec.text("project", "default"),
        repo_url=source.text("repoURL"),
        branch=_branch(source.text("targetRevision"), notes),
        overlay=source.text("path"),
        namespace=namespace,
        deployment=_name(workload),
        container=container.text("name") if several else "",
        service=service,
        image=image_name(image),
        tags=_tags(replica_sets, container.text("name"), image_tag(image)),
        port=_port(services, service, workload, notes),
        host=rule.host,
        tls=rule.tls,
        entry_port=rule.port,
        live_path=_path(container, "livenessProbe"),
        ready_path=_path(container, "readinessProbe"),
        autoscaler=any(_scales(one, _name(workload)) for one in autoscalers),
        ingress_namespace=ingress_namespace,
        ingress_selector=ingress_selector,
        notes=tuple(notes),
    )


def _list(kube: Kube, kind: str, namespace: str, notes: list[str] | None = None) -> Sequence[Outside]:
    """All of that kind; with `notes`, a refusal is noted there and nothing is found."""
    where = f"{kind} in {namespace or 'the cluster'}"
    asked = kube.list_if_served if KINDS[kind].custom and notes is not None else kube.list
    try:
        return Outside.of(asked(kind, namespace), f"the list of {where}").objects("items")
    except ApiError as error:
        if notes is None:
            raise
        notes.append(f"{where} could not be read: {error}")
        return []


def _name(item: Outside) -> str:
    return item.child("metadata").needed("name")


def _uid(item: Outside) -> str:
    return item.child("metadata").text("uid")


def _owner(item: Outside) -> str:
    owners = item.child("metadata").objects("ownerReferences")
    return owners[0].text("uid") if owners else ""


# -- Argo CD ----------------------------------------------------------------------------------------------------------


def _application(kube: Kube, wanted: str) -> Outside:
    namespace, _, name = wanted.rpartition("/")
    found = _list(kube, "Application", namespace)
    chosen = [one for one in found if name in ("", _name(one))]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(sorted(f"{one.child('metadata').text('namespace')}/{_name(one)}" for one in found)) or "none"
    if not chosen:
        raise InputError(f"there is no Argo CD Application {wanted or 'in this cluster'}", f"there are: {names}")
    raise InputError(f"there are {len(chosen)} Argo CD Applications", f"--application with one of {names}")


def _source(spec: Outside, notes: list[str]) -> Outside:
    """The source with a path: `sources` is a list since Argo CD 2.6."""
    several = [one for one in spec.objects("sources") if one.has("path")]
    if spec.child("source").has("path"):
        return spec.child("source")
    if not several:
        raise InputError("the Application has no source with a path: is it a Helm chart from a registry?",
                         "rollproof changes a `newTag` in a folder of a git repository")  # fmt: skip
    if len(several) > 1:
        notes.append(f"the Application has {len(several)} sources: the first with a path was taken")
    return several[0]


def _branch(revision: str, notes: list[str]) -> str:
    if revision in ("", "HEAD"):
        notes.append("the Application follows HEAD: env_repo.branch is assumed to be main")
        return "main"
    return revision


# -- the app ----------------------------------------------------------------------------------------------------------


def _deployment(found: Sequence[Outside], wanted: str, services: Sequence[Outside], entry: Sequence[Entry]) -> Outside:
    """The one that is named, the only one, or the only one that an Ingress or an HTTPRoute leads to."""
    names = ", ".join(sorted(_name(one) for one in found)) or "none"
    if wanted:
        named = [one for one in found if _name(one) == wanted]
        if not named:
            raise InputError(f"there is no Deployment {wanted}", f"there are: {names}")
        return named[0]
    led_to = {rule.service for rule in entry}
    entered = [one for one in found if any(_name(svc) in led_to and _selects(svc, one) for svc in services)]
    chosen = found if len(found) == 1 else entered
    if len(chosen) != 1:
        wrong = f"{len(found)} Deployments, and not one alone is behind an Ingress or an HTTPRoute"
        raise InputError(wrong, f"--deployment: {names}")
    return chosen[0]


def _selects(service: Outside, workload: Outside) -> bool:
    wanted = service.child("spec").child("selector").value
    labels = workload.child("spec").child("template").child("metadata").child("labels").value
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _service(services: Sequence[Outside], workload: Outside, entry: Sequence[Entry]) -> str:
    """The Service of the pods; of several, one that an Ingress or an HTTPRoute leads to."""
    led_to = {rule.service for rule in entry}
    names = [_name(one) for one in services if _selects(one, workload)]
    return min(names, key=lambda name: name not in led_to, default="")


def _containers(workload: Outside) -> Sequence[Outside]:
    return workload.child("spec").child("template").child("spec").objects("containers")


def _container(workload: Outside, notes: list[str]) -> Outside:
    """The first with a readiness probe."""
    found = _containers(workload)
    if not found:
        raise InputError(f"Deployment {_name(workload)} has no containers", "name another with --deployment")
    chosen = next((one for one in found if one.has("readinessProbe")), found[0])
    if not chosen.has("readinessProbe"):
        notes.append(f"container {chosen.text('name')} has no readiness probe: a rollout sends requests to it at once")
    return chosen


def _tags(replica_sets: Sequence[Outside], container: str, running: str) -> tuple[str, ...]:
    """The tags that the Deployment has had, the running one first, then by revision."""

    def revision(one: Outside) -> int:
        text = str(one.child("metadata").child("annotations").value.get(_REVISION, ""))
        return int(text) if text.isdecimal() else 0

    found = [running] if running else []
    for one in sorted(replica_sets, key=revision, reverse=True):
        images = [each.text("image") for each in _containers(one) if each.text("name") == container]
        found += [tag for tag in map(image_tag, images) if tag and tag not in found]
    return tuple(found[:_TAGS])


def _port(services: Sequence[Outside], service: str, workload: Outside, notes: list[str]) -> int:
    """The pod's port behind the Service's first TCP port: what `app.pod_port` says from then on, for everybody."""
    ports = [port for one in services if _name(one) == service for port in one.child("spec").objects("ports")]
    first = next((one for one in ports if one.text("protocol", "TCP") == "TCP"), None)
    said = None if first is None else first.value.get("targetPort", first.value.get("port"))
    if isinstance(said, int):
        return said
    named = [
        port.integer("containerPort")
        for container in _containers(workload)  # any of them: a proxy beside the app may take its requests
        for port in container.objects("ports")
        if port.text("name") == said and port.text("protocol", "TCP") == "TCP"
    ]
    if named and said:
        return named[0]
    notes.append(f"which port of {_name(workload)}'s pods the Service leads to is not known: app.pod_port is a guess")
    return 80


def _path(container: Outside, probe: str) -> str:
    return container.child(probe).child("httpGet").text("path")


def _scales(autoscaler: Outside, deployment: str) -> bool:
    target = autoscaler.child("spec").child("scaleTargetRef")
    return target.text("kind") == "Deployment" and target.text("name") == deployment


def _of_route(rule: Entry) -> Iterator[tuple[str, str]]:
    """Where pods of its Gateway would be ("": anywhere), and their labels. Two Gateways may have the same name."""
    namespace, _, name = rule.gateway.rpartition("/")
    if name:
        yield namespace, f"{_OF_GATEWAY}={name}"
        yield "", f"{_ENVOY}name={name},{_ENVOY}namespace={namespace}"
    if not rule.gateway_class or "traefik" in rule.gateway_class.casefold():
        yield "", _TRAEFIK


def _controller(kube: Kube, rule: Entry, notes: list[str]) -> tuple[str, str]:
    """Namespace and selector of the pods through which users come in, by the labels of those that are known."""
    for namespace, selector in _of_route(rule) if rule.route else [("", one) for one in _INGRESS_CONTROLLERS]:
        try:
            pods = Outside.of(kube.list("Pod", namespace, labels=selector), f"pods with {selector}").objects("items")
        except ApiError as error:
            notes.append(f"the ingress controller could not be looked for: {error}")
            break
        if pods:
            return pods[0].child("metadata").text("namespace"), selector
    if rule.route:
        notes.append("which pods serve the HTTPRoute is not known: without [ingress] retries that users do not see "
                     "stay unseen, and no fault is done to the entry")  # fmt: skip
    return "", ""
