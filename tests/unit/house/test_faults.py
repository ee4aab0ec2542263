"""A fault is one file: its module is named like it, its page says what it needs, and no other module names it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import story
from house.syntax import source

import rollproof
from rollproof.core.permission import READING
from rollproof.core.target import ConfigMapInGit, Database, FaultSettings, Ingress, Workload
from rollproof.faults.base import Fault
from rollproof.faults.registry import all_faults
from rollproof.suites import drill_table

SOURCE = Path(rollproof.__file__).parent
PAGES = SOURCE.parents[1] / "docs" / "faults"
FAULTS = all_faults()
TARGET = story.target(
    faults=FaultSettings(
        database=Database(kind="Deployment", namespace="database", name="db"),
        git=Workload(kind="Deployment", namespace="git", name="git"),
        configmap=ConfigMapInGit(name="config", file="configmap.yaml"),
    ),
    ingress=Ingress(namespace="ingress", selector="app=ingress"),
)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_in_the_file_of_its_name(name: str) -> None:
    module = importlib.import_module(type(FAULTS[name]).__module__)
    if isinstance(FAULTS[name], Fault):
        assert module.__name__ == f"rollproof.faults.{name.replace('-', '_')}"
        assert module.FAULT is FAULTS[name]
    else:  # a drift: its trials are a table of one file
        assert FAULTS[name] in module.FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_no_other_module_names_it(name: str) -> None:
    own = Path(str(importlib.import_module(type(FAULTS[name]).__module__).__file__))
    allowed = {own, SOURCE / "suites" / "__init__.py"}  # its messages show a marker as an example
    naming = [path for path in SOURCE.rglob("*.py") if f'"{name}"' in source(path)]
    assert [str(path.relative_to(SOURCE)) for path in naming if path not in allowed] == []


@pytest.mark.parametrize("name", FAULTS)
def test_its_page_names_what_it_may_change_and_what_it_needs(name: str) -> None:
    file = type(FAULTS[name]).__module__.rpartition(".")[2]
    page = (PAGES / f"{file.replace('_', '-')}.md").read_text()
    for permission in FAULTS[name].permissions(TARGET):
        row = f"| {permission.place.split()[0]} |"
        assert [line for line in page.splitlines() if row in line and permission.verb in line], f"{row} {permission}"
    changes = any(one.verb not in READING for one in FAULTS[name].permissions(TARGET))
    otherwise = "`[nodes]`" in page or "`[env_repo]`" in page
    assert changes or otherwise, "it changes nothing, neither by the API nor in a node nor in git?"


def test_every_fault_of_a_drill_exists() -> None:
    asked = {name for drill in drill_table().values() for name in drill.faults}
    assert asked <= set(FAULTS)
