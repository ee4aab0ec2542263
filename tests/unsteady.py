"""Run tests; the few that were red beside others once more, each suite's alone, and name them.

`python -m tests.unsteady --most N OPTIONS… -- PATHS…`: pytest with these options. Where one to N tests failed, and
nothing else was wrong, only these are run again, in one process with no other beside them. Green then: exit code 0,
and they are named here and in `build/unsteady.txt`, which CI prints at its end: each is a defect of a test (or a rare
one of the code) that is to be mended, but no reason to hold back a landing. Red again, or more than N: pytest's code.

Only tests of parts are run so (`make test`, and of `make test-sandbox` what runs beside others), and only in CI; for a
developer red is red. What ends in a verdict of rollproof about a target (tests that are `alone`, the drill, the track
record, killed runs, the lab) is never tried again until it suits.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

__all__ = ["main"]

_NAMED = Path("build/unsteady.txt")


class _Red:
    """The tests that failed, by node id, in that order; with xdist its controller hears of all."""

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.tests[report.nodeid] = None


def main(words: list[str]) -> int:
    """The exit code, as pytest's."""
    parser = argparse.ArgumentParser(prog="python -m tests.unsteady")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="so many red tests are run again (0: none)")
    middle = words.index("--")
    mine, options = parser.parse_known_args(words[:middle])
    red = _Red()
    code = int(pytest.main([*options, *words[middle + 1 :]], plugins=[red]))
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(red.tests) <= mine.most:
        return code
    print(f"\n== red beside others, once more alone: {', '.join(red.tests)}", flush=True)
    code = int(pytest.main([*options, "-n", "0", *red.tests]))
    if code == pytest.ExitCode.OK:
        _name(list(red.tests))
    return code


def _name(tests: list[str]) -> None:
    _NAMED.parent.mkdir(exist_ok=True)
    with _NAMED.open("a") as file:
        file.writelines(f"{test}\n" for test in tests)
    print(f"UNSTEADY, to be mended (red beside others, green alone): {', '.join(tests)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
