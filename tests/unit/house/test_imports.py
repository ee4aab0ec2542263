"""The linter's lists of modules are whole: a new module cannot slip past what keeps sandbox and harness apart."""

from __future__ import annotations

import tomllib
from pathlib import Path

import rollproof

ROOT = Path(__file__).parents[3]


def test_the_sandbox_is_kept_apart_from_every_module() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {one["name"]: one for one in document["tool"]["importlinter"]["contracts"]}
    shares_nothing = next(one for name, one in contracts.items() if name.startswith("the sandbox shares nothing"))
    unknown = next(one for name, one in contracts.items() if "knows that there is a sandbox" in name)
    package = Path(rollproof.__file__).parent
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    modules = {f"rollproof.{name}" for name in there - {"__init__", "__main__", "sandbox"}}
    assert set(shares_nothing["forbidden_modules"]) == modules - {"rollproof.errors"}
    assert set(unknown["source_modules"]) == modules - {"rollproof.cli"}
