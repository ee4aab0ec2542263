"""Permission: one verb on one resource of the Kubernetes API, as those who need it ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["READING", "Permission", "each_verb"]

READING = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One verb on one resource. Without an optional permission (`required` False) a run can see or claim less: `why`.

    `argocd` says that it is asked where Argo CD lives, which may be another cluster. `fallback`: it is used only where
    another one is not granted, so that nobody has to grant both.
    """

    verb: str
    resource: str
    namespace: str
    why: str = field(compare=False)
    group: str = ""
    subresource: str = ""
    name: str = ""  # only this object is needed: a Role may use resourceNames
    required: bool = True
    argocd: bool = False
    fallback: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.place}"

    @property
    def place(self) -> str:
        """Resource and namespace, as kubectl would write them."""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        resource = f"{resource}/{self.subresource}" if self.subresource else resource
        return f"{resource} in {self.namespace}" if self.namespace else f"{resource} (cluster)"


def each_verb(verbs: str, resource: str, namespace: str, why: str, **more: str | bool) -> Iterator[Permission]:
    """A Permission for each of the verbs, which are separated by spaces."""
    for verb in verbs.split():
        yield Permission(verb=verb, resource=resource, namespace=namespace, why=why, **more)  # type: ignore[arg-type]
