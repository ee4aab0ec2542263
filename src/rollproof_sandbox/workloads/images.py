"""Images: what the registry has, which release a pod runs, and which App settings that release behaves by."""

from __future__ import annotations

from rollproof_sandbox.settings import App, Settings

__all__ = ["Images", "PullError", "tag_of"]


class PullError(Exception):
    """The registry does not have the image; the text is what the kubelet says."""


def tag_of(image: str) -> str:
    """The release in an image reference: what comes after the last colon."""
    return image.rpartition(":")[2]


class Images:
    """Remembers which releases have run, for what depends on it. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._history: list[str] = []  # releases, as they took each other's place
        self._odd: dict[str, str] = {}  # ReplicaSet's uid -> uid of its pod that behaves as `one_next_pod`

    def pull(self, image: str) -> None:
        """PullError if the image is not in the registry, or no longer."""
        tag, cluster = tag_of(image), self._settings.cluster
        gone = tag in cluster.gone_after_first_use and tag in self._history[:-1] and self._history[-1] != tag
        if tag in cluster.missing_images or gone:
            message = (
                f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
            )
            raise PullError(message)

    def note_running(self, image: str) -> str:
        """A container of this image runs. Returns the release before it, "" if there was none."""
        tag = tag_of(image)
        if self._history[-1:] != [tag]:
            self._history.append(tag)
        return next((other for other in reversed(self._history) if other != tag), "")

    def app_for(self, image: str, replicaset: str, pod: str) -> App:
        """How the pod's process behaves; both are uids. One pod of each later ReplicaSet at a time may be odd."""
        settings = self._settings
        if tag_of(image) == settings.workload.overlay_tag:
            return settings.app
        if settings.one_next_pod is not None and self._odd.setdefault(replicaset, pod) == pod:
            return settings.one_next_pod
        return settings.next_app

    def forget(self, pod: str) -> None:
        """The pod is gone: another one of its ReplicaSet may be the odd one."""
        self._odd = {replicaset: odd for replicaset, odd in self._odd.items() if odd != pod}
