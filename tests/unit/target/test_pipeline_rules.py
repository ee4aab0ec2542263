"""What `[pipeline]` of a target file may not say; what could be a secret is not shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from story import target

from rollproof.core.pipelinesettings import ActionsSettings, PipelineSettings, RegistrySettings
from rollproof.target.rules import broken_rules

BOTH = RegistrySettings(pull_secret="p", username_env="U", password_env="P")


def mistakes(**settings: Any) -> dict[str, str]:
    found = broken_rules(target(pipeline=PipelineSettings(**settings)))
    return {one.place: one.text for one in found if one.place.startswith("pipeline")}


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        ({"limits_s": {"sean": 3.0}}, "limits_s", "did you mean 'seen'?"),
        ({"limits_s": {"proven": 3.0}}, "limits_s", "is none of"),
        ({"actions": ActionsSettings(repository="shop")}, "actions.repository", "owner/name"),
        ({"actions": ActionsSettings(repository="shop/..")}, "actions.repository", "owner/name"),
        ({"registry": RegistrySettings(pull_secret="pull/key")}, "registry.pull_secret", "name of a Secret"),
        ({"registry": RegistrySettings(pull_secret="pull/..")}, "registry.pull_secret", "name of a Secret"),
        ({"actions": ActionsSettings(workflow="Deploy")}, "actions.workflow", "deploy.yml"),
        ({"actions": ActionsSettings(workflow="a/deploy.yml")}, "actions.workflow", "without its folder"),
        ({"actions": ActionsSettings(api_url="ftp://x")}, "actions.api_url", "http"),
        ({"actions": ActionsSettings(api_url="http://ci", token_env="T")}, "actions.api_url", "https://"),
        ({"actions": ActionsSettings(token_env="ghp-abc")}, "actions.token_env", "name of an environment variable"),
        ({"registry": RegistrySettings(url="ghcr.io")}, "registry.url", "http"),
        ({"registry": RegistrySettings(url="https://ci:pw@ghcr.io")}, "registry.url", "holds credentials"),
        ({"registry": RegistrySettings(username_env="U")}, "registry.username_env", "go together"),
        ({"scan_file": "/x.json", "scan_severity_max": "high"}, "scan_severity_max", "is none of"),
        ({"scan_severity_max": "HIGH"}, "scan_severity_max", "pipeline.scan_file"),
        ({"registry": BOTH}, "registry.pull_secret", "either"),
        ({"registry": RegistrySettings(pull_secret="Not A Name")}, "registry.pull_secret", "name of a Secret"),
    ],
)  # fmt: skip
def test_bad_input_is_named(settings: dict[str, Any], place: str, said: str) -> None:
    assert said in mistakes(**settings)[f"pipeline.{place}"]


def test_what_is_right_is_taken() -> None:
    actions = ActionsSettings(repository="shop/web", api_url="http://127.0.0.1:1", token_env="T", workflow="a b.yml")
    registry = RegistrySettings(url="https://ghcr.io", pull_secret="ghcr-pull-secret")
    assert mistakes(limits_s={"seen": 180.0, "rolled-out": 60.0}, actions=actions, registry=registry) == {}
    assert mistakes() == {}


@pytest.mark.parametrize("path", ["/x y", "/x\r\nA: b", "/x\x1b[2J", "/x\u2028"])
def test_a_path_that_no_request_line_can_hold(path: str) -> None:
    found = broken_rules(target(autoscaling=replace(target().autoscaling, path=path)))
    assert "%20" in {one.place: one.text for one in found}["autoscaling.path"]
