"""Images: the content of the registry, the release of a pod, and the App settings of that release."""

from __future__ import annotations

from rollproof_sandbox.settings import App, Settings

__all__ = ["Images", "PullError", "tag_of"]


class PullError(Exception):
    """The registry does not have the image; the text is the kubelet's message."""


def tag_of(image: str) -> str:
    """The release in an image reference: the part after the last colon."""
    return image.rpartition(":")[2]


class Images:
    """Records which releases have run, for settings that depend on it. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._history: list[str] = []  # releases in the order in which they ran
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
        """Record that a container of this image runs. Returns the release before it, "" if there was none."""
        tag = tag_of(image)
        if self._history[-1:] != [tag]:
            self._history.append(tag)
        return next((other for other in reversed(self._history) if other != tag), "")

    def app_for(self, image: str, replicaset: str, pod: str) -> App:
        """The settings of the pod's process; both are uids. One pod at a time of each later ReplicaSet may differ."""
        settings = self._settings
        if tag_of(image) == settings.workload.overlay_tag:
            return settings.app
        if settings.one_next_pod is not None and self._odd.setdefault(replicaset, pod) == pod:
            return settings.one_next_pod
        return settings.next_app

    def forget(self, pod: str) -> None:
        """The pod is gone: another one of its ReplicaSet may differ."""
        self._odd = {replicaset: odd for replicaset, odd in self._odd.items() if odd != pod}
