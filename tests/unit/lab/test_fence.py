from pathlib import Path

import pytest

from lab import fence, settings
from lab.steps import Log

OTHERS = "-P FORWARD ACCEPT\n-A FORWARD -j SOMEBODY\n"


class Tables(Log):
    """Stands in for iptables: keeps rules as text, and every command that was given."""

    def __init__(self) -> None:
        self.rules = {"filter": ["-P FORWARD ACCEPT", "-A FORWARD -j SOMEBODY"], "mangle": []}
        self.commands: list[str] = []

    def run(self, *words: object, **_: object) -> str:  # type: ignore[override]
        text = [str(word) for word in words][3:]
        table = "filter"
        if text[0] == "-t":
            table, text = text[1], text[2:]
        self.commands.append(" ".join(text))
        rules = self.rules[table]
        verb, rest = text[0], text[1:]
        if verb == "-S":
            return "".join(rule + "\n" for rule in rules)
        if verb == "-N":
            rules.insert(0, f"-N {rest[0]}")
        elif verb == "-A":
            rules.append(" ".join(text))
        elif verb == "-I":
            rules.append(" ".join(["-A", rest[0], *rest[2:]]))
        elif verb == "-D":
            rules.remove(" ".join(["-A", *rest]))
        elif verb == "-F":
            rules[:] = [rule for rule in rules if not rule.startswith(f"-A {rest[0]} ")]
        elif verb == "-X":
            rules.remove(f"-N {rest[0]}")
        return ""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    monkeypatch.setattr(fence, "_forwarding", lambda: tmp_path / "forwarding")
    return Tables()


def test_a_fence_that_stands_keeps_its_counts(tables: Tables) -> None:
    fence.close(tables, "172.20.0.0/16")
    before = len(tables.commands)
    assert fence.close(tables, "172.20.0.0/16") == "kept"
    assert all(command.startswith("-S") for command in tables.commands[before:])


def test_a_network_with_another_subnet_gets_a_fence_of_its_own(tables: Tables) -> None:
    fence.close(tables, "172.20.0.0/16")
    assert not fence.is_closed(tables, "172.21.0.0/16")
    fence.close(tables, "172.21.0.0/16")
    assert fence.is_closed(tables, "172.21.0.0/16")
    assert "172.20" not in str(tables.rules)


def _verdict(rules: list[str], packet: dict[str, str]) -> str:
    """What the chain does with a packet, as iptables would go through it; "" if it comes to the end."""
    for rule in rules:
        words = rule.split()
        options = dict(zip(words[::2], words[1::2], strict=True))
        local = {"--dst-type": "LOCAL" if packet["to"] == "this machine" else "UNICAST"}
        seen = {"-i": packet["in"], "-o": packet["out"], "-s": packet["from"], **local}
        tested = {key: value for key, value in options.items() if key in seen}
        states = options.get("--ctstate", packet["state"]).split(",")
        if all(seen[key] == value for key, value in tested.items()) and packet["state"] in states:
            return options["-j"]
    return ""


@pytest.mark.parametrize("state", ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"])
@pytest.mark.parametrize("address", ["172.20.0.0/16", settings.POD_RANGE, settings.SERVICE_RANGE, "another"])
def test_b9_every_packet_of_the_lab_is_refused_whatever_its_state(tables: Tables, state: str, address: str) -> None:
    fence.close(tables, "172.20.0.0/16")
    rules = [
        rule.removeprefix(f"-A {fence._CHAIN} ") for rule in tables.rules["filter"] if f"-A {fence._CHAIN} " in rule
    ]
    bridge = settings.BRIDGE

    def verdict(out: str, to: str) -> str:
        return _verdict(rules, {"in": bridge, "out": out, "from": address, "to": to, "state": state})

    assert verdict("eth0", "the world") in ("REJECT", "DROP")
    assert verdict(bridge, "a node") == "ACCEPT"
    answers = state in ("ESTABLISHED", "RELATED")
    assert verdict("", "this machine") in (("RETURN",) if answers else ("REJECT", "DROP"))
    if address == settings.POD_RANGE:  # an answer to a pod's address would leave the lab in its turn
        assert verdict("eth0", "the world") == "DROP"
    others = {"in": "eth0", "out": "eth1", "from": "another", "to": "the world", "state": state}
    assert _verdict(rules, others) == ""


@pytest.mark.parametrize(
    "lost", ["REJECT", "DROP", "ESTABLISHED", f"FORWARD -j {fence._CHAIN}", f"INPUT -j {fence._CHAIN}", fence._WATCH]
)
def test_a_fence_with_a_hole_is_noticed(tables: Tables, lost: str) -> None:
    fence.close(tables, "172.20.0.0/16")
    for name, rules in tables.rules.items():
        tables.rules[name] = [rule for rule in rules if lost not in rule]
    assert not fence.is_closed(tables, "172.20.0.0/16")


def test_a_bridge_that_forwards_nothing_would_hide_strays(tables: Tables) -> None:
    fence.close(tables, "172.20.0.0/16")
    fence._forwarding().write_text("0", encoding="utf-8")
    assert not fence.is_closed(tables, "172.20.0.0/16")


def test_opening_removes_our_rules_and_nobody_elses(tables: Tables) -> None:
    fence.close(tables, "172.20.0.0/16")
    fence.open_again(tables)
    assert tables.rules == {"filter": OTHERS.splitlines(), "mangle": []}


def test_rules_for_forwarding_stand_where_docker_leaves_room(tables: Tables) -> None:
    tables.rules["filter"].append("-N DOCKER-USER")
    fence.close(tables, "172.20.0.0/16")
    assert f"-A DOCKER-USER -j {fence._CHAIN}" in tables.rules["filter"]


def test_packets_are_read_from_the_counters() -> None:
    listing = f"""Chain {fence._CHAIN} (2 references)
    pkts      bytes target     prot opt in     out     source               destination
   47218 11149657 ACCEPT     0    --  {settings.BRIDGE} {settings.BRIDGE}  0.0.0.0/0            0.0.0.0/0
       7      420 REJECT     0    --  {settings.BRIDGE} *       172.20.0.0/16        0.0.0.0/0            ctstate NEW
      60     2400 DROP       0    --  {settings.BRIDGE} *       0.0.0.0/0            0.0.0.0/0
"""
    assert fence._packets(listing, wanted="REJECT") == 7
    assert fence._packets(listing, wanted="DROP") == 60
