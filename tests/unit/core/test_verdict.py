"""Results and exit codes: scripts rely on these numbers."""

from __future__ import annotations

from rollproof.core.verdict import EXIT_CODES, EXIT_UNDO_FAILED, EXIT_USAGE, Result, worst


def test_the_exit_codes_are_those_of_the_documents() -> None:
    assert {str(result): EXIT_CODES[worst([result])] for result in Result} == {
        "PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "SKIPPED": 3,
    }  # fmt: skip
    assert EXIT_CODES[Result.SKIPPED] == 3
    assert (EXIT_USAGE, EXIT_UNDO_FAILED) == (2, 4)


def test_failed_is_worse_than_unknown_and_nothing_is_unknown() -> None:
    assert worst([Result.PASS, Result.INCONCLUSIVE, Result.FAIL, Result.SKIPPED]) is Result.FAIL
    assert worst([Result.PASS, Result.INCONCLUSIVE, Result.PASS]) is Result.INCONCLUSIVE
    assert worst([Result.PASS, Result.SKIPPED]) is Result.PASS
    assert worst([]) is worst([Result.SKIPPED]) is Result.INCONCLUSIVE
