"""Checks of the configuration: does a change of it reach the app, and does Supervisor start what has ended?"""

from __future__ import annotations

from rollproof.core.kustomize import is_hashed
from rollproof.core.posture import ConfigsSeen, DeploymentSeen
from rollproof.core.posturefacts import Posture
from rollproof.judge.checkers.posture.base import Said, check, finding, nothing, sound, unclear


@check(
    "config-rollout", asks="does a change of a ConfigMap restart the pods that use it?",
    advised="a name with a hash (kustomize configMapGenerator), or a checksum annotation of the template",
    why="a variable, or a file by subPath, is old until the next release; other files change within 60 to 90 s",
    source="https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically",
    drill="rollproof run configmap-key",
)  # fmt: skip
def config_rollout(seen: Posture) -> Said:
    """By the names of the ConfigMaps that the pods use; an immutable one cannot change."""
    place, one = seen.subject(DeploymentSeen), seen.view(DeploymentSeen)
    plain = {name: how for name, how in one.configs.items() if not is_hashed(name)}
    if not one.configs:
        return nothing(place, "ConfigMaps", "the pods use none")
    if one.checksums or not plain:
        return sound(place, "ConfigMaps", ", ".join(one.checksums) or "names with a hash")
    fixed = {config.name for config in seen.view(ConfigsSeen).configs if config.immutable}
    moving = [f"{name} ({how})" for name, how in sorted(plain.items()) if name not in fixed]
    if not moving:
        return sound(place, "ConfigMaps", "immutable")
    return finding(place, "ConfigMaps without a hash", ", ".join(moving))


@check(
    "supervisor-autorestart", asks="does Supervisor start a program again that has ended with 0?",
    advised="autorestart=true for each program",
    why="nginx and PHP-FPM exit with 0 on SIGTERM: with the default (unexpected) they stay dead until liveness acts",
    source="https://supervisord.org/configuration.html#program-x-section-values",
    drill="rollproof run process-terminate",
)  # fmt: skip
def supervisor_autorestart(seen: Posture) -> Said:
    """Only where a ConfigMap holds the configuration; one that is in the image is not seen here."""
    place, found = seen.subject(ConfigsSeen), seen.view(ConfigsSeen).configs
    programs = [one for config in found for one in config.programs]
    if not programs:
        return nothing(place, "[program:x]", "no ConfigMap of the pods holds a Supervisor configuration")
    without = [
        f"{one.name} ({one.autorestart or 'the default: unexpected'})" for one in programs if one.autorestart != "true"
    ]
    names = ", ".join(one.name for one in programs)
    return (
        finding(place, "autorestart", ", ".join(without)) if without else sound(place, "autorestart", f"true: {names}")
    )


@check(
    "config-missing", asks="is every ConfigMap there that the pods name?", advised="each of them exists",
    why="running pods go on without it; the next one does not start (CreateContainerConfigError)",
    source="https://kubernetes.io/docs/concepts/configuration/configmap/#using-configmaps",
    drill="rollproof run secret-missing",
)  # fmt: skip
def config_missing(seen: Posture) -> Said:
    """One that is optional may be missing: it cannot be told apart here."""
    place, found = seen.subject(ConfigsSeen), seen.view(ConfigsSeen)
    if not found.configs and not found.missing:
        return nothing(place, "ConfigMaps", "the pods use none")
    if found.missing:
        return unclear(
            place, "ConfigMaps", f"missing: {', '.join(found.missing)}", "the next pod starts only if it is optional"
        )
    return sound(place, "ConfigMaps", f"{len(found.configs)} there")


CHECKS = (config_rollout, supervisor_autorestart, config_missing)
