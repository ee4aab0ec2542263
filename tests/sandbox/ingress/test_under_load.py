"""The ingress and the pods under the project's own load: they lose nothing by themselves, and cost little.

`pytest -s` prints the figures: CPU a request of the ingress and of a pod, and the latency with and without the ingress.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollproof.core.requests import RequestLog
from rollproof.loadgen.child import Child
from rollproof.loadgen.code import script
from rollproof.loadgen.record import read_record
from rollproof_sandbox.settings import App, Ingress, Trouble
from tests.sandbox.app.driven import Pod
from tests.sandbox.ingress.proxied import CONTROL, HOST, Listen, Proxy
from tests.waiting import until

Start = Callable[..., Pod]
SECONDS = 6.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def lanes(url: str, *, control: bool) -> list[dict[str, Any]]:
    get = {"url": f"{url}/", "host": HOST, "version": "expected"}
    post = {**get, "url": f"{url}/echo", "method": "POST"}
    found: list[dict[str, Any]] = [
        {"name": "keepalive-get", "share": 5, **get},
        {"name": "keepalive-post", "share": 2, **post},
        {"name": "new-get", "share": 2, "new_connection": True, **get},
        {"name": "slow", "concurrency": 2, **get, "url": f"{url}/slow?ms=300"},
    ]
    if control:
        found.append({"name": "control", "share": 1, "url": f"{url}/", "host": CONTROL})
    return found


def load(
    url: str, record: Path, meanwhile: Callable[[], None] = lambda: None, *, rate_per_s: float, control: bool = True
) -> RequestLog:
    """Load for some seconds, while something else goes on."""
    with Child(script("engine.py")) as child:
        child.tell({
            "lanes": lanes(url, control=control), "rate_per_s": rate_per_s, "timeout_s": 20.0,
            "max_duration_s": SECONDS, "record": str(record), "version_header": "X-App-Version",
            "served_by_header": "X-Served-By",
        })  # fmt: skip
        child.wait("started", timeout_s=60)
        aside = threading.Thread(target=meanwhile)
        aside.start()
        child.wait("done", timeout_s=100)
        aside.join()
    return read_record(record)


def latency_ms(log: RequestLog, lane: str) -> str:
    rows = log.rows[log.rows["lane"] == log.lanes.index(lane)]
    took = (rows["done_ns"] - rows["send_ns"]) / 1e6
    return "/".join(f"{np.percentile(took, q):.2f}" for q in (50, 99, 100))


def failures(log: RequestLog) -> list[str]:
    return [log.outcomes[outcome] for outcome in log.rows["outcome"] if outcome]


@pytest.mark.parametrize("rate_per_s", [200.0, 1000.0])
def test_a_rollout_under_load_loses_nothing(start: Start, listen: Listen, tmp_path: Path, rate_per_s: float) -> None:
    old, new = [start(), start()], [start(), start()]
    proxy = listen(Ingress(lag_s=0.1))

    def rollout() -> None:
        """Pod by pod: the new one comes in, the old one is taken out, told to terminate after a preStop sleep."""
        serving = list(old)
        for leaving, coming in zip(old, new, strict=True):
            time.sleep(0.8)
            serving.append(coming)
            proxy.route(*(pod.peer for pod in serving), rollout=True)
            time.sleep(0.3)
            serving.remove(leaving)
            proxy.route(*(pod.peer for pod in serving), rollout=True)
            time.sleep(1.0)
            leaving.terminate()
            assert leaving.child.wait(60) == 0

    proxy.route(*(pod.peer for pod in old))
    until(lambda: proxy.status_of() == 200)
    before_s = cpu_s(proxy.child.pid)
    log = load(f"http://127.0.0.1:{proxy.port}", tmp_path / "record.npz", rollout, rate_per_s=rate_per_s)
    spent_s = cpu_s(proxy.child.pid) - before_s
    print(f"\n{rate_per_s:.0f}/s, rollout: {len(log.rows)} requests, {spent_s / len(log.rows) * 1e6:.0f} us CPU each, "
          f"get p50/p99/max {latency_ms(log, 'keepalive-get')} ms")  # fmt: skip
    assert failures(log) == []
    assert {name for name in log.pods if name} == {pod.name for pod in (*old, *new)}
    assert not [line for line in proxy.lines() if "," in line["upstream"]]


@pytest.mark.parametrize("rate_per_s", [200.0, 1000.0])
def test_what_the_ingress_costs(start: Start, listen: Listen, tmp_path: Path, rate_per_s: float) -> None:
    pod, other, proxy = start(App(start_s=0.0, latency_s=0.0)), start(App(start_s=0.0, latency_s=0.0)), listen()
    proxy.route(pod.peer, other.peer)
    straight = load(f"http://{pod.peer}", tmp_path / "one.npz", rate_per_s=rate_per_s, control=False)
    before_s, pods_before_s = cpu_s(proxy.child.pid), cpu_s(pod.child.pid) + cpu_s(other.child.pid)
    through = load(f"http://127.0.0.1:{proxy.port}", tmp_path / "two.npz", rate_per_s=rate_per_s)
    spent_s = cpu_s(proxy.child.pid) - before_s
    pods_s = cpu_s(pod.child.pid) + cpu_s(other.child.pid) - pods_before_s
    count = len(through.rows)
    print(
        f"\n{rate_per_s:.0f}/s: ingress {spent_s / count * 1e6:.0f} us CPU a request, pods {pods_s / count * 1e6:.0f}"
    )
    for lane in ("keepalive-get", "keepalive-post", "new-get"):
        print(f"  {lane}: p50/p99/max {latency_ms(straight, lane)} ms straight, {latency_ms(through, lane)} ms through")
    assert failures(straight) == []
    assert failures(through) == []


def test_a_reload_under_load_loses_nothing(start: Start, listen: Listen, tmp_path: Path) -> None:
    pod, proxy = start(), listen(Ingress(lag_s=0.0, troubles=(Trouble(kind="reload"),)))
    proxy.route(pod.peer)
    log = load(f"http://127.0.0.1:{proxy.port}", tmp_path / "record.npz", proxy.begin_rollout, rate_per_s=500.0)
    assert failures(log) == []


def test_a_closed_listener_under_load_hits_new_connections_only(start: Start, listen: Listen, tmp_path: Path) -> None:
    pod = start()
    proxy: Proxy = listen(Ingress(lag_s=0.0, troubles=(Trouble(kind="refuse", after_s=1.0, for_s=0.1),)))
    proxy.route(pod.peer)
    log = load(f"http://127.0.0.1:{proxy.port}", tmp_path / "record.npz", proxy.begin_rollout, rate_per_s=1000.0)
    failed = log.rows[log.rows["outcome"] != 0]
    assert set(failures(log)) == {"connect.ECONNREFUSED"}
    assert not failed["reused"].any()
    first, last = np.flatnonzero(log.rows["outcome"])[[0, -1]]
    within = log.rows[first : last + 1]
    new = within[within["lane"] == log.lanes.index("new-get")]
    assert (new["outcome"] != 0).mean() > 0.9  # one window, and nothing lost before or after it
