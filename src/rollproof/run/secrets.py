"""SecretsDrill: reads the values that must be nowhere, and searches place by place. It changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from rollproof.clients.gitobjects import GitObjects, planted_files
from rollproof.clients.kube import ApiError, Object
from rollproof.clients.secretform import placeholders
from rollproof.core.kinds import KINDS
from rollproof.core.outside import Outside
from rollproof.core.secretsearch import OBJECT_KINDS, Place
from rollproof.errors import RollproofError
from rollproof.preflight.readings import READINGS
from rollproof.probes.secretsearch import CANARY, SecretSearch, canary_objects, ci_log_text, texts_of_objects
from rollproof.probes.secretvalues import live_values, wanted_values
from rollproof.run.context import RunContext

__all__ = ["SecretsDrill"]

_LOG_LINES = 5000
_TEXTS = (".json", ".jsonl", ".log", ".txt")  # of a run folder
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
        live = live_values(self._settings, self._context.clients.kube, self._namespace)
        wanted = wanted_values(self._settings, live, self._context.environ)
        searches: dict[Place, Callable[[SecretSearch], None]] = {
            Place.GIT: self._git, Place.OBJECTS: self._objects, Place.EVENTS: self._events,
            Place.APPLICATION: self._application, Place.LOGS: self._logs, Place.CI_LOG: self._ci_log,
            Place.RUN: self._run_folder,
        }  # fmt: skip
        if not self._settings.ci_log_file:
            del searches[Place.CI_LOG]
        patterns = self._settings.patterns != "off"
        search = SecretSearch(wanted, self._context.folder, places=searches, patterns=patterns)
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
        listed = (item for kind in OBJECT_KINDS for item in self._listed(kind))
        search.look(Place.OBJECTS, texts_of_objects((*listed, *planted)), planted=len(planted))

    def _events(self, search: SecretSearch) -> None:
        planted = canary_objects(Place.EVENTS, search.canary)
        search.look(Place.EVENTS, texts_of_objects((*self._listed("Event"), *planted)), planted=len(planted))

    def _application(self, search: SecretSearch) -> None:
        argo, planted = self._context.clients.argo, canary_objects(Place.APPLICATION, search.canary)
        item = argo.kube.get("Application", argo.namespace, argo.application)
        search.look(Place.APPLICATION, texts_of_objects((item, *planted)), planted=len(planted))

    def _listed(self, kind: str) -> Iterator[Object]:
        kube = self._context.clients.kube
        asked = kube.list_if_served if KINDS[kind].custom else kube.list
        for item in asked(kind, self._namespace)["items"]:
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
        yield f"log of {CANARY}", f'2026-01-01T00:00:00Z "POST /login" {{"password": "{canary}"}}'

    def _ci_log(self, search: SecretSearch) -> None:
        path = Path(self._settings.ci_log_file)
        texts = ((path.name, ci_log_text(path)), (f"{CANARY}.log", f"Run deploy --password {search.canary}\n"))
        search.look(Place.CI_LOG, texts, planted=1)

    def _run_folder(self, search: SecretSearch) -> None:
        """What this run has written until now; the reports are made of it, through the same register."""
        files = sorted(path for path in self._context.folder.path.iterdir() if path.suffix in _TEXTS)
        texts = [(path.name, path.read_text(errors="replace")) for path in files]
        canary = (f"{CANARY}.jsonl", json.dumps({"data": {"reason": search.canary}}))
        search.look(Place.RUN, (*texts, canary), planted=1)

    def _log(self, pod: str, container: str, *, previous: bool) -> str | None:
        try:
            return self._context.clients.kube.pod_log_end(
                self._namespace, pod, container, lines=_LOG_LINES, previous=previous
            )
        except ApiError as error:
            if previous and error.status in (400, 404):  # the container before was removed: there is no log of it
                return None
            raise
