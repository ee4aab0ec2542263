"""The order of the lanes, and the settings that the generator gets from a target."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from load.client import request_parts
from load.lanes import Settings, turns
from rollproof.core.target import App, Control, Traffic
from rollproof.loadgen.child import LoadError
from rollproof.loadgen.selftest import FAILURE_MODES
from rollproof.loadgen.settings import session_settings

SHARES = {"get": 5, "post": 2, "new": 2, "control": 1}


def settings(
    app: App, *, control: Control | None = None, environ: dict[str, str] | None = None, **traffic: Any
) -> Settings:
    made = session_settings(
        app, Traffic(**traffic), control, environ or {}, record=Path("r.npz"), html=Path("l.html"),
        request_id_prefix="rp", seed=1,
    )  # fmt: skip
    assert Settings.from_json(json.loads(json.dumps(made.as_json()))) == made
    return made


def test_every_block_has_each_lane_as_often_as_its_share() -> None:
    order = turns(SHARES, seed=1)
    for _ in range(200):
        assert Counter(itertools.islice(order, 10)) == SHARES


def test_gaps_of_a_lane_are_bounded_and_the_order_has_no_period() -> None:
    order = list(itertools.islice(turns(SHARES, seed=2), 20_000))
    places = [i for i, lane in enumerate(order) if lane == "post"]
    assert max(b - a for a, b in itertools.pairwise(places)) <= 12
    for replicas in (2, 3, 4):  # a round robin over so many pods must see the lane evenly
        seen = Counter(i % replicas for i in places)
        assert min(seen.values()) > 0.9 * len(places) / replicas


def test_a_schedule_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no lane"):
        next(turns({}, seed=1))


def test_lanes_of_a_full_target() -> None:
    app = App(
        base_url="https://shop.example/base/", host="shop.internal", post_path="/echo?x=1", slow_path="/slow?ms=300",
        version_header="X-Version",
    )  # fmt: skip
    made = settings(app, control=Control(url="https://control.example/"), slow_concurrency=3)
    lanes = {lane.name: lane for lane in made.lanes}
    assert {name: lane.share for name, lane in lanes.items()} == {
        "keepalive-get": 5, "new-get": 2, "keepalive-post": 2, "control": 1, "slow": 0,
    }  # fmt: skip
    assert lanes["keepalive-post"].url == "https://shop.example/base/echo?x=1"
    assert lanes["slow"].concurrency == 3
    assert lanes["slow"].version == "expected"
    assert lanes["control"].version == ""
    assert lanes["new-get"].new_connection


def test_without_a_version_header_the_health_answer_carries_the_version() -> None:
    made = settings(App(base_url="http://shop.example", post_path="/echo"))
    lanes = {lane.name: lane for lane in made.lanes}
    assert sum(lane.share for lane in made.lanes) == 10
    assert lanes["keepalive-get"].url == "http://shop.example/health"
    assert lanes["keepalive-get"].version == "expected"
    assert lanes["keepalive-post"].version == "optional"


def test_secrets_go_to_the_app_and_not_to_the_control_probe() -> None:
    app = App(base_url="http://shop.example", headers_env={"X-Key": "SHOP_KEY"}, basic_auth_env=("U", "P"))
    made = settings(app, control=Control(url="http://other.example/"), environ={"SHOP_KEY": "s3", "U": "a", "P": "b"})
    heads = {lane.name: request_parts(lane, made)[0] for lane in made.lanes}
    assert b"X-Key: s3\r\n" in heads["keepalive-get"]
    assert b"Authorization: Basic YTpi\r\n" in heads["keepalive-get"]
    assert b"s3" not in heads["control"]
    assert b"Basic" not in heads["control"]


def test_a_secret_that_is_not_there_is_named() -> None:
    with pytest.raises(LoadError, match="SHOP_KEY"):
        settings(App(base_url="http://shop.example", headers_env={"X-Key": "SHOP_KEY"}))


def test_a_header_cannot_smuggle_a_second_one() -> None:
    made = settings(App(base_url="http://x", headers_env={"X-Key": "K"}), environ={"K": "a\r\nX-Evil: 1"})
    with pytest.raises(ValueError, match="line break"):
        request_parts(made.lanes[0], made)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError):
        Settings.from_json({"lanes": [], "rate": 1})


def test_the_self_test_does_every_failure_mode_that_the_fault_server_can_do() -> None:
    from load.failuremodes import FAILURE_MODES as DONE
    from load.failuremodes import ODD

    assert {name: mode.outcome for name, mode in {**DONE, **ODD}.items()} == FAILURE_MODES
