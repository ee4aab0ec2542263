"""Actors: people and robots that change the same objects as the harness, each with its own name.

They react to what everybody can see: the cluster's objects and the branch. All run in one thread, in the order of the
changes; `settings.Actors` describes each of them.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rollproof_sandbox.api.moments import ARGO_MANAGER, HARNESS, is_drift
from rollproof_sandbox.api.store import Change, Object, Store, StoreError
from rollproof_sandbox.envrepo import OVERLAY, EnvRepo, GitFailedError
from rollproof_sandbox.settings import Actors as ActorSettings

__all__ = ["Actors"]

_LOOK_S = 0.02  # interval in which the branch is read
_TRIES = 5  # attempts of a commit when others commit at the same time
_TAG = re.compile(r'(newTag: "?)([^"\s]+)')


@dataclass(frozen=True, slots=True)
class _Push:
    """A new head of the branch, whose author is the harness."""

    revision: str
    subject: str


_Seen = Change | _Push
_Step = Callable[[], None]


@dataclass(slots=True)
class Actors:
    """The actors that the settings name, active from `start` to `stop`."""

    settings: ActorSettings
    store: Store
    repo: EnvRepo
    _agenda: queue.PriorityQueue[tuple[float, int, _Step]] = field(default_factory=queue.PriorityQueue, init=False)
    _number: int = field(default=0, init=False)
    _number_lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _unsubscribe: Callable[[], None] | None = field(default=None, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        """Start watching; an actor acts only on a change."""
        if not self.settings.names:
            return
        seeing = [_KNOWN[name](self) for name in self.settings.names]

        def tell(seen: _Seen) -> None:
            for sees in seeing:
                self._put(0.0, partial(sees, seen))

        self._unsubscribe = self.store.subscribe(tell)
        threading.Thread(target=self._act, name="actors", daemon=True).start()
        threading.Thread(target=self._look, args=(tell, self.repo.head()), name="actors-branch", daemon=True).start()

    def stop(self) -> None:
        """No actor acts after this."""
        self._ended.set()
        if self._unsubscribe is not None:
            self._unsubscribe()

    def later(self, delay_s: float, step: _Step) -> None:
        """Run an actor's step after `delay_s` plus the setting `later_s`."""
        self._put(delay_s + self.settings.later_s, step)

    def commit(self, change: Callable[[], Mapping[str, str]], message: str, author: str) -> None:
        """Commit the files that `change` makes of the newest state."""
        for _ in range(_TRIES):
            with suppress(GitFailedError):
                self.repo.commit(change(), message=message, author=author)
                return

    def readme(self) -> Mapping[str, str]:
        """Add a line to the README: a commit that changes nothing that is deployed."""
        return {"README.md": f"{self.repo.read('README.md')}\nReviewed.\n"}

    def refresh(self) -> None:
        """Request a refresh of Argo CD, as `argocd app get --refresh` does."""

        def annotate(item: Object) -> None:
            item["metadata"].setdefault("annotations", {})["argocd.argoproj.io/refresh"] = "normal"

        self.store.mutate("Application", "argocd", "shop", annotate, manager="argocd-server")

    def _put(self, delay_s: float, step: _Step) -> None:
        with self._number_lock:
            self._number += 1
            self._agenda.put((time.monotonic() + delay_s, self._number, step))

    def _act(self) -> None:
        while not self._ended.is_set():
            due_s, number, step = self._agenda.get()
            wait_s = due_s - time.monotonic()
            if wait_s > 0:  # an earlier step may be added meanwhile
                self._agenda.put((due_s, number, step))
                self._ended.wait(min(wait_s, _LOOK_S))
                continue
            with suppress(StoreError, GitFailedError):  # somebody else was faster, or the object is gone
                step()

    def _look(self, tell: Callable[[_Seen], None], head: str) -> None:
        while not self._ended.wait(_LOOK_S):
            with suppress(GitFailedError):
                now = self.repo.head()
                if now == head:
                    continue
                head = now
                revision, author, subject = self.repo.last_commit()
                if author == HARNESS:
                    tell(_Push(revision, subject))


# -- the actors: each is created once, and receives every change --------------------------------------------------


def _human_heals(actors: Actors) -> Callable[[_Seen], None]:
    done: set[str] = set()

    def see(seen: _Seen) -> None:
        if isinstance(seen, Change) and is_drift(seen) and not done and seen.old is not None:
            done.add("healed")
            actors.later(0.3, partial(_put_back, actors.store, seen.kind, seen.old, "kubectl-edit"))

    return see


def _changes_back(actors: Actors) -> Callable[[_Seen], None]:
    drifted: dict[tuple[str, str], Change] = {}

    def see(seen: _Seen) -> None:
        if not isinstance(seen, Change):
            return
        place = seen.kind, seen.object["metadata"]["name"]
        if is_drift(seen):
            drifted.setdefault(place, seen)
        elif seen.manager == ARGO_MANAGER and place in drifted and seen.type != "DELETED":
            actors.later(0.3, partial(_do_again, actors.store, drifted[place]))

    return see


def _other_writer(actors: Actors) -> Callable[[_Seen], None]:
    def see(seen: _Seen) -> None:
        if isinstance(seen, Change) and is_drift(seen) and seen.type == "MODIFIED":
            actors.later(0.05, partial(_third_value, actors.store, seen))

    return see


def _noop_commit(actors: Actors) -> Callable[[_Seen], None]:
    def see(seen: _Seen) -> None:
        if isinstance(seen, Change) and is_drift(seen):
            actors.commit(actors.readme, "README: reviewed", "colleague <colleague@shop.example>")
            actors.refresh()

    return see


def _superseding_commit(actors: Actors) -> Callable[[_Seen], None]:
    def see(seen: _Seen) -> None:
        if isinstance(seen, _Push):
            actors.commit(actors.readme, "README: reviewed", "colleague <colleague@shop.example>")

    return see


def _tag_edit(actors: Actors) -> Callable[[_Seen], None]:
    pushed: list[str] = []

    def see(seen: _Seen) -> None:
        if isinstance(seen, _Push):
            pushed.append(seen.revision)
        if not pushed or "edited" in pushed or not isinstance(seen, Change | _Push):
            return
        sync = ((actors.store.get("Application", "argocd", "shop") or {}).get("status") or {}).get("sync") or {}
        if sync.get("status") == "Synced" and sync.get("revision") == pushed[0]:
            pushed.append("edited")
            actors.commit(edited, "Say who writes the tag", "colleague <colleague@shop.example>")

    def edited() -> Mapping[str, str]:
        text = actors.repo.read(OVERLAY)
        return {OVERLAY: text.replace("# written by the pipeline", "# written by the pipeline, never by hand")}

    return see


def _image_updater(actors: Actors) -> Callable[[_Seen], None]:
    def see(seen: _Seen) -> None:
        if isinstance(seen, _Push) and seen.subject.startswith("Revert"):
            newer = _tag(actors.repo.read(OVERLAY, f"{seen.revision}^"))
            actors.later(1.0, partial(actors.commit, partial(updated, newer), f"build: automatic update to {newer}",
                                      "argocd-image-updater <noreply@argoproj.io>"))  # fmt: skip

    def updated(tag: str) -> Mapping[str, str]:
        return {OVERLAY: _TAG.sub(rf"\g<1>{tag}", actors.repo.read(OVERLAY))}

    return see


_KNOWN: Mapping[str, Callable[[Actors], Callable[[_Seen], None]]] = {
    "human-heals": _human_heals,
    "changes-back": _changes_back,
    "noop-commit": _noop_commit,
    "superseding-commit": _superseding_commit,
    "tag-edit": _tag_edit,
    "image-updater": _image_updater,
    "other-writer": _other_writer,
}


# -- what they do --------------------------------------------------------------------------------------------------


def _tag(overlay: str) -> str:
    found = _TAG.search(overlay)
    return found[2] if found else ""


def _content(item: Object) -> Object:
    return {key: value for key, value in item.items() if key not in ("metadata", "status")}


def _put_back(store: Store, kind: str, original: Object, manager: str) -> None:
    """Restore the original as `kubectl edit` or `kubectl apply` would, whether the object exists or not."""
    metadata = original["metadata"]

    def put(item: Object) -> None:
        item.update(_content(original))

    if store.mutate(kind, metadata["namespace"], metadata["name"], put, manager=manager) is None:
        kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if key in metadata}
        store.create({**_content(original), "metadata": kept}, manager=manager)


def _do_again(store: Store, drift: Change) -> None:
    """Make the same drift again."""
    metadata = drift.object["metadata"]
    if drift.type == "DELETED":
        store.delete(drift.kind, metadata["namespace"], metadata["name"], manager="kubectl-patch")
    else:
        _put_back(store, drift.kind, drift.object, "kubectl-patch")


def _third_value(store: Store, drift: Change) -> None:
    """Write a third value into the drifted field, neither the original nor the drift."""
    metadata = drift.object["metadata"]
    path, value = next(_differences(_content(drift.old or {}), _content(drift.object)))

    def put(item: Object) -> None:
        owner: Any = item
        for part in path[:-1]:
            owner = owner[part]
        owner[path[-1]] = _other_than(value)

    store.mutate(drift.kind, metadata["namespace"], metadata["name"], put, manager="other-controller")


def _differences(old: Any, new: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """(path, new value) of every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in new:
            yield from _differences(old.get(key), new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from _differences(was, now, (*path, number))
    elif old != new:
        yield path, new


def _other_than(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    number = re.fullmatch(r"(\d+)([A-Za-z]*)", str(value))  # a quantity must stay a quantity
    return f"{int(number[1]) + 1}{number[2]}" if number else f"{value}-other"
