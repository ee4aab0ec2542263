"""Packets: the scripts that drop and let through, run by a real shell against a firewall that only keeps a list."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from rollproof.clients.nodes import NodeAccessError, NodeShell, Ran
from rollproof.errors import InputError
from rollproof.faults.packets import count_dropped, drop_all, drop_some, let_some_through, let_through, why_no_firewall

MARK = "0123456789abcdef"
FIREWALL = """#!/bin/sh
name=${0##*/}; shift 2
[ -e "$RULES/$name-refuses" ] && { echo "no chain by that name" >&2; exit 1; }
chain=$2
case "$1" in
  -S) echo "-P INPUT ACCEPT" ;;
  -I) shift 3; echo "$name $chain $*" >> "$RULES/list" ;;
  -D) shift 2; grep -qxF "$name $chain $*" "$RULES/list" || exit 1
    { grep -vxF "$name $chain $*" "$RULES/list"; true; } > "$RULES/new"; mv "$RULES/new" "$RULES/list" ;;
esac
"""


class Node:
    """A node that is this machine, with that firewall."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "list").write_text("iptables INPUT -j KUBE-FIREWALL\n")
        for name in ("iptables", "ip6tables"):
            (folder / name).write_text(FIREWALL)
            (folder / name).chmod(0o755)

    def run(self, node: str, argv: Sequence[str], timeout_s: float = 15.0) -> Ran:
        assert node == "a"
        environ = {"PATH": f"{self.folder}:{os.environ['PATH']}", "RULES": str(self.folder)}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=timeout_s, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def rules(self) -> list[str]:
        return (self.folder / "list").read_text().splitlines()

    def refuses(self, name: str) -> None:
        (self.folder / f"{name}-refuses").touch()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def shell(node: Node) -> NodeShell:
    return node  # type: ignore[return-value]


@pytest.mark.processes
def test_all_is_dropped_and_only_our_rules_are_taken_away(node: Node) -> None:
    before = node.rules
    assert why_no_firewall(shell(node), "a") == ""
    drop_all(shell(node), "a", MARK, for_at_most_s=30.0)
    drop_all(shell(node), "a", "f" * 16, for_at_most_s=30.0)
    others = [rule for rule in node.rules if "rollproof ffff" in rule]
    chains = ("INPUT", "FORWARD", "OUTPUT")
    rule = f"-m comment --comment rollproof {'f' * 16} -j DROP"
    assert others == [f"{name} {chain} {rule}" for name in ("iptables", "ip6tables") for chain in chains]
    assert let_through(shell(node), "a", "f" * 16)
    let_through(shell(node), "a", MARK)
    assert node.rules == before
    assert not let_through(shell(node), "a", MARK), "there is nothing left to take away"


@pytest.mark.processes
def test_a_node_without_ipv6_has_nothing_to_drop_there(node: Node) -> None:
    node.refuses("ip6tables")
    drop_all(shell(node), "a", MARK, for_at_most_s=30.0)
    assert len(node.rules) == 4


@pytest.mark.processes
def test_a_firewall_that_says_no(node: Node) -> None:
    node.refuses("iptables")
    assert why_no_firewall(shell(node), "a") == "iptables cannot be used in node a: no chain by that name"
    with pytest.raises(NodeAccessError, match="the packets of node a could not be dropped: no chain"):
        drop_all(shell(node), "a", MARK, for_at_most_s=30.0)


def test_a_mark_from_a_journal_is_no_script(node: Node) -> None:
    with pytest.raises(InputError):
        let_through(shell(node), "a", 'x" -j ACCEPT; reboot; "')


@pytest.mark.processes
def test_a_share_is_dropped_of_one_address_and_only_our_rules_are_taken_away(node: Node) -> None:
    before = node.rules
    drop_some(shell(node), "a", MARK, "10.0.0.1", percent=10, for_at_most_s=30.0)
    drop_some(shell(node), "a", "f" * 16, "fd00::1", percent=25, for_at_most_s=30.0)
    random = "-m statistic --mode random --probability"
    ours = [
        f"iptables FORWARD {way} 10.0.0.1 {random} 0.1 -m comment --comment rollproof {MARK} -j DROP"
        for way in ("-d", "-s")
    ]
    assert [rule for rule in node.rules if MARK in rule] == ours
    assert [rule.split()[0] for rule in node.rules if "f" * 16 in rule] == ["ip6tables"] * 2
    assert let_some_through(shell(node), "a", MARK, "10.0.0.1", percent=10)
    assert let_some_through(shell(node), "a", "f" * 16, "fd00::1", percent=25)
    assert node.rules == before
    assert not let_some_through(shell(node), "a", MARK, "10.0.0.1", percent=10)


@pytest.mark.processes
def test_a_share_that_cannot_be_dropped_leaves_nothing(node: Node) -> None:
    before = node.rules
    node.refuses("iptables")
    with pytest.raises(NodeAccessError, match="could not be dropped: no chain by that name"):
        drop_some(shell(node), "a", MARK, "10.0.0.1", percent=10, for_at_most_s=30.0)
    assert node.rules == before


def test_an_address_that_is_none_never_becomes_a_part_of_a_script(node: Node) -> None:
    with pytest.raises(InputError, match="is no address"):
        drop_some(shell(node), "a", MARK, "$(reboot)", percent=10, for_at_most_s=30.0)
    with pytest.raises(InputError, match="is no address"):
        count_dropped(shell(node), "a", MARK, "10.0.0.1 -j ACCEPT")
