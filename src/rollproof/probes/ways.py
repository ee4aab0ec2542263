"""Ways to ask a single pod: the API server's pods/proxy, or port-forward. Which one works is tried.

One may be permitted and not work: an API server that cannot reach pods answers 503, while port-forward uses the
kubelet. So each is tried, and the one that worked last is tried first from then on, in preflight and in the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rollproof.clients.http import Answer
from rollproof.clients.kube import ApiError, Kube, UnreachableError
from rollproof.core.target import Target
from rollproof.errors import OutsideDataError
from rollproof.probes.views import PodView, label_selector

__all__ = ["FORWARD", "PROXY", "PodWays", "look_at_pods"]

PROXY, FORWARD = "pods/proxy", "port-forward"
_POD_TIMEOUT_S = 5.0
_FORBIDDEN = (401, 403, 405)
_TRIES = 3  # a pod that gives no answer is asked again: no answer says nothing about its version
_PAUSE_S = 0.2  # between two requests when the first got no answer
_AWAY_S = 15.0  # how long an API server that does not answer is waited for
_SHOWN = 200
_PODS_TRIED = 10  # in preflight: a way works for all pods or for none


def look_at_pods(target: Target, kube: Kube, ways: PodWays) -> str:
    """Try each way to each ready pod of the Deployment once; the result in words.

    If none works, the run goes on: then the proof goes through the ingress alone, and says so.
    """
    cluster = target.cluster
    selector = label_selector(kube.get("Deployment", cluster.namespace, cluster.deployment))
    listed = kube.list("Pod", cluster.namespace, labels=selector)["items"]
    views = {str(item["metadata"]["name"]): PodView.of(item, cluster.container) for item in listed}
    ready = sorted(name for name, view in views.items() if view.ready and view.replicaset and not view.terminating)
    chosen = ready[:_PODS_TRIED]
    return "; ".join(
        f"{way}: {count} of {len(chosen)} pods answered" + (f" ({error[:_SHOWN]})" if error else "")
        for way, (count, error) in ways.look(chosen, target.app.health_path).items()
    )


@dataclass(slots=True)
class PodWays:
    """The ways to the pods of one namespace, the best first; those that are not permitted are removed."""

    kube: Kube
    namespace: str
    port: int
    names: list[str] = field(default_factory=lambda: [PROXY, FORWARD])

    def ask_once(self, pod: str, path: str, way: str, *, timeout_s: float) -> Answer:
        """One request by a way that has just worked: if there is no answer, that is a fact about the pod."""
        return self._try(way, pod, path, timeout_s)[0]

    def ask(self, pod: str, path: str, *, tries: int = _TRIES) -> tuple[Answer, str]:
        """One answer of the pod and the way it came by; if there was none, the last error of the ways that are
        permitted.

        Anything but a 200 is asked for again, `tries` times in all.
        """
        answer, way = Answer(status=None, error="not asked"), ""
        away_until_s, again = time.monotonic() + _AWAY_S, False
        while tries > 0 and self.names:
            if again:
                time.sleep(_PAUSE_S)
            again, tries = True, tries - 1
            away = True
            for way in tuple(self.names):
                answer, status = self._try(way, pod, path)
                if answer.status is not None:
                    self._prefer(way)
                    break
                if status == 404:
                    return answer, way  # the pod is gone
                away = away and status == 0
            if answer.status == 200:
                break
            if away and answer.status is None and time.monotonic() < away_until_s:
                tries += 1  # an API server that does not answer says nothing about the pod
        return answer, way

    def look(self, pods: Iterable[str], path: str) -> Mapping[str, tuple[int, str]]:
        """Try each way to each pod once: way -> (pods that answered, the first error). Reorders the ways by it."""
        found = dict.fromkeys((PROXY, FORWARD), (0, ""))
        for pod in pods:
            for way in tuple(self.names):
                answer, _ = self._try(way, pod, path)
                count, error = found[way]
                found[way] = (count + (answer.status is not None), error or answer.error)
        self.names.sort(key=lambda way: -found[way][0])  # stable: pods/proxy first where both work
        return found

    def _try(self, way: str, pod: str, path: str, timeout_s: float = _POD_TIMEOUT_S) -> tuple[Answer, int]:
        """One question; (answer, the API server's refusal or 0). What is not granted is not tried again."""
        ask = self.kube.pod_proxy if way == PROXY else self.kube.pod_forward
        try:
            status, body = ask(self.namespace, pod, self.port, path, timeout_s=timeout_s)
        except (UnreachableError, OutsideDataError) as error:
            return Answer(status=None, error=str(error)), 0
        except ApiError as error:
            if error.status in _FORBIDDEN and way in self.names:
                self.names.remove(way)
            return Answer(status=None, error=str(error)), error.status
        return Answer(status=status, body=body), 0

    def _prefer(self, way: str) -> None:
        if way in self.names and self.names[0] != way:
            self.names.remove(way)
            self.names.insert(0, way)
