"""SecretsDrill: reads the values that must be nowhere, and searches place by place. It changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping

from rollproof.clients.gitobjects import GitObjects, planted_files
from rollproof.clients.kube import ApiError, Object
from rollproof.clients.secretform import placeholders
from rollproof.core.outside import Outside, parsed
from rollproof.core.secretsearch import Place
from rollproof.errors import OutsideDataError, RollproofError
from rollproof.preflight.readings import READINGS
from rollproof.probes.secretsearch import SecretSearch, canary_objects, texts_of_objects
from rollproof.run.context import RunContext

__all__ = ["SecretsDrill"]

_KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "ConfigMap", "Ingress")
_LOG_LINES = 5000
_OF_A_LOGIN = ("password", "auth", "identitytoken")
_MIB = 1024 * 1024


class SecretsDrill:
    """`search_all` looks everywhere; the checker `secrets` judges what was found."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._settings = context.target.secrets
        self._namespace = context.target.cluster.namespace
        self._git_cut = ""
        self._form: dict[str, str] = {}  # the placeholders in git
        self._no_form = "the env repo could not be read"

    @property
    def skipped(self) -> str:
        """Why this target cannot have the drill; "" if it can."""
        return READINGS["secrets"].skipped(self._context.target)

    def search_all(self) -> None:
        """Read the values, then search each place. One that cannot be read is told, and the others are searched."""
        live = self._live()
        search = SecretSearch(self._wanted(live), self._context.folder)
        searches: Mapping[Place, Callable[[SecretSearch], None]] = {
            Place.GIT: self._git, Place.OBJECTS: self._objects, Place.EVENTS: self._events,
            Place.APPLICATION: self._application, Place.LOGS: self._logs,
        }  # fmt: skip
        for place, look in searches.items():
            self._context.status(f"secrets: {place}")
            try:
                look(search)
            except RollproofError as error:
                search.unreadable(place, str(error))
            else:
                search.tell(cut=self._git_cut if place is Place.GIT else "")
        if self._settings.placeholders and live:
            search.compare(live, self._form, self._no_form)

    def _live(self) -> dict[str, str]:
        """`Secret/key` → value, of every key of the Secrets that are named."""
        found: dict[str, str] = {}
        for name in dict.fromkeys(one.partition("/")[0] for one in self._settings.names):
            item = self._context.clients.kube.get("Secret", self._namespace, name)
            for key, value in Outside.of(item, f"Secret {name}").table("data").items():
                found[f"{name}/{key}"] = _decoded(value)
        return found

    def _wanted(self, live: Mapping[str, str]) -> dict[str, str]:
        """Of those the wanted ones, and what the variables hold."""
        whole = {one for one in self._settings.names if "/" not in one}
        wanted = {
            part: text for name, value in live.items()
            if name in self._settings.names or name.partition("/")[0] in whole
            for part, text in _parts(name, value)
        }  # fmt: skip
        return wanted | {name: self._context.environ[name] for name in self._settings.values_env}

    def _git(self, search: SecretSearch) -> None:
        settings, self._git_cut = self._settings, ""
        with GitObjects(
            self._context.target.env_repo, self._context.environ, size_max_bytes=settings.git_mib_max * _MIB,
            time_max_s=settings.git_s_max,
        ) as objects:  # fmt: skip
            objects.fetch()
            self._read_form(objects)
            files = planted_files(search.canary)
            objects.plant(files)
            search.look(Place.GIT, objects.texts(), planted=len(files))
            self._git_cut = objects.cut

    def _read_form(self, objects: GitObjects) -> None:
        """The form for the Secret in git, to be held against the live values."""
        path = self._settings.placeholders
        if not path:
            return
        try:
            text = objects.file(self._context.target.env_repo.branch, path)
            self._form, self._no_form = placeholders(path, text), ""
        except RollproofError as error:
            self._no_form = str(error)

    def _objects(self, search: SecretSearch) -> None:
        planted = canary_objects(Place.OBJECTS, search.canary)
        listed = (item for kind in _KINDS for item in self._listed(kind))
        search.look(Place.OBJECTS, texts_of_objects((*listed, *planted)), planted=len(planted))

    def _events(self, search: SecretSearch) -> None:
        planted = canary_objects(Place.EVENTS, search.canary)
        search.look(Place.EVENTS, texts_of_objects((*self._listed("Event"), *planted)), planted=len(planted))

    def _application(self, search: SecretSearch) -> None:
        argo, planted = self._context.clients.argo, canary_objects(Place.APPLICATION, search.canary)
        item = argo.kube.get("Application", argo.namespace, argo.application)
        search.look(Place.APPLICATION, texts_of_objects((item, *planted)), planted=len(planted))

    def _listed(self, kind: str) -> Iterator[Object]:
        for item in self._context.clients.kube.list(kind, self._namespace)["items"]:
            yield {"kind": kind, **item}

    def _logs(self, search: SecretSearch) -> None:
        search.look(Place.LOGS, self._log_texts(search.canary), planted=1)

    def _log_texts(self, canary: str) -> Iterator[tuple[str, str]]:
        ours = self._context.watches.pods()
        for listed in self._listed("Pod"):
            item = Outside.of(listed, "a pod")
            pod = item.child("metadata").needed("name")
            for status in () if pod not in ours else item.child("status").objects("containerStatuses"):
                container, again = status.needed("name"), status.count("restartCount") > 0
                for before in (False, True) if again else (False,):
                    where = f"log of {pod}/{container}{' before its restart' if before else ''}"
                    text = self._log(pod, container, previous=before)
                    if text is not None:
                        yield where, text
        yield "log of rollproof-canary", f'2026-01-01T00:00:00Z "POST /login" {{"password": "{canary}"}}'

    def _log(self, pod: str, container: str, *, previous: bool) -> str | None:
        try:
            return self._context.clients.kube.pod_log_end(
                self._namespace, pod, container, lines=_LOG_LINES, previous=previous
            )
        except ApiError as error:
            if previous and error.status in (400, 404):  # the container before was removed: there is no log of it
                return None
            raise


def _decoded(value: str) -> str:
    """What the base64 stands for; bytes that are no text stay as they are written."""
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return value


def _parts(name: str, value: str) -> Iterator[tuple[str, str]]:
    """The value; of a login to registries (dockerconfigjson) what is secret in it, which is never copied as a whole."""
    try:
        logins = Outside.of(parsed(value, name), name).child("auths")
        found = {
            f"{name}:{host}.{key}": text for host in logins.value for key in _OF_A_LOGIN
            if (text := logins.child(host).text(key))
        }  # fmt: skip
    except OutsideDataError:
        found = {}
    yield from found.items() if found else [(name, value)]
