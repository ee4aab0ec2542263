"""Metrics pushed to a real Pushgateway: what it then has, whom it refuses, and what of that is said."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from reports.conftest import the_report

from rollproof.clients.http import basic_auth
from rollproof.core.verdict import Result
from rollproof.errors import CannotJudgeError
from rollproof.reports.exports import sender
from rollproof.reports.model import Report
from tests.readers.servers import free_port, serving
from tests.readers.tools import PUSHGATEWAY, go_program

_PASSWORD = "only-for-this-test"
_BCRYPT = "$2b$04$QwsBxHQaSOjbas8X/.m76eHlPYfnbKO1Es3m8Yxqa7rxCtcnMYwBC"  # of that password


@dataclass(frozen=True)
class Gateway:
    """A real one, with a login."""

    url: str
    login: str

    def samples(self) -> dict[str, dict[str, float]]:
        """Of each target, its metrics with their values."""
        asked = urllib.request.Request(f"{self.url}/metrics", headers={"Authorization": self.login})  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - 127.0.0.1
            text = answer.read().decode()
        found: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                if one.labels.get("job") == "rollproof":
                    name = "/".join([one.name, *filter(None, [one.labels.get("drill"), one.labels.get("result")])])
                    found.setdefault(one.labels["target"], {})[name] = one.value
        return found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    program = go_program(PUSHGATEWAY)
    folder = tmp_path_factory.mktemp("pushgateway")
    config = folder / "web.yml"
    config.write_text(yaml.safe_dump({"basic_auth_users": {"ci": _BCRYPT}}))
    port = free_port()
    command = (program, f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={config}")
    with serving(*command, port=port, log=folder / "log"):
        login = basic_auth(("USER", "PASSWORD"), {"USER": "ci", "PASSWORD": _PASSWORD}, "the test")
        yield Gateway(f"http://127.0.0.1:{port}", login)


def of_target(report: Report, name: str) -> Report:
    return replace(report, plan=replace(report.plan, target=replace(report.plan.target, name=name)))


def test_pushed_metrics_are_those_of_the_target_and_of_its_last_run(gateway: Gateway) -> None:
    failed = the_report()
    name = "shop/größe 1"  # a slash, a letter and a space that no URL holds
    send = sender("prom")
    assert "replaced" in send(failed, gateway.url, gateway.login)
    send(of_target(failed, name), gateway.url, gateway.login)
    first = gateway.samples()
    assert set(first) == {failed.plan.target.name, name}
    assert first["lab"]["rollproof_result/FAIL"] == first[name]["rollproof_result/FAIL"] == 1
    assert "rollproof_requests/zero-downtime" in first["lab"]
    unmeasured = replace(failed, result=Result.INCONCLUSIVE, verdicts=())
    send(unmeasured, gateway.url, gateway.login)
    second = gateway.samples()
    assert (second["lab"]["rollproof_result/FAIL"], second["lab"]["rollproof_result/INCONCLUSIVE"]) == (0, 1)
    assert "rollproof_requests/zero-downtime" not in second["lab"], "last night's figure stays"
    assert second[name] | {"push_time_seconds": 0} == first[name] | {"push_time_seconds": 0}


def test_the_gateway_refuses_who_has_no_login(gateway: Gateway) -> None:
    with pytest.raises(CannotJudgeError, match="HTTP status 401: Unauthorized") as told:
        sender("prom")(the_report(), gateway.url, "")
    assert "--basic-auth-env" in told.value.hint


@pytest.mark.parametrize("path", ["/metrics/job/x", "/nothing-here"])
def test_a_wrong_path_is_said(gateway: Gateway, path: str) -> None:
    with pytest.raises(CannotJudgeError, match=r"HTTP status 40[045]") as told:
        sender("prom")(the_report(), gateway.url + path, gateway.login)
    assert "without /metrics/job/..." in told.value.hint
