import re
from dataclasses import replace

from lab import settings
from rollproof.core import versions
from tests.matrix import Heal, Seen, differences, page, paths, words_of

SEEN = Seen(
    "1.37.2",
    "3.6.1",
    "2026-11-29 12:00 UTC",
    {"release": {"release": "PASS"}, "all": {"drift": "PASS", "undo": "PASS"}},
    heals=[Heal(0, 50.2, 51.0), Heal(1, 0.4, 2.0), Heal(2, 0.5, 6.0)],
    fields={"Pod": [".status", ".status.phase"]},
)


def test_the_doctor_knows_the_pairs_that_passed_and_no_other() -> None:
    """One truth in two places, for a wheel has no docs: whoever makes the page anew also writes it into the code."""
    lines = (settings.REPOSITORY / "docs" / "matrix.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d", line)]
    assert rows
    good = [(row[0], row[1]) for row in rows if all(cell.startswith("PASS (") for cell in row[3:5])]
    assert tuple(good) == versions.PAIRS


def test_a_field_of_a_list_is_one_path_and_a_free_map_has_no_paths_below_it() -> None:
    pod = {"metadata": {"labels": {"a.b/c": "d"}}, "spec": {"containers": [{"name": "a"}, {"name": "b", "image": "c"}]}}
    assert set(paths(pod)) == {
        ".metadata",
        ".metadata.labels",
        ".spec",
        ".spec.containers",
        ".spec.containers[]",
        ".spec.containers[].name",
        ".spec.containers[].image",
    }


def test_only_the_highest_field_that_differs_is_said() -> None:
    other = replace(SEEN, fields={"Pod": [".status", ".status.resize", ".status.resize.state", ".status.resize.at"]})
    assert differences(SEEN, other, {"phase"}) == [
        "Pod, only here: `.status.resize`",
        "Pod, not here: **`.status.phase`** (read)",
    ]


def test_a_field_of_which_only_an_inner_name_is_read_is_marked() -> None:
    other = replace(SEEN, fields={"Pod": [".status", ".status.phase", ".status.all[]", ".status.all[].ready"]})
    assert differences(SEEN, other, {"ready"}) == ["Pod, only here: **`.status.all[]`** (read)"]
    assert "ready" in words_of('def of(pod):\n    return pod["ready"]\n')


def test_the_page_says_what_failed_and_which_gap_is_not_as_modelled() -> None:
    early = replace(
        SEEN,
        kubernetes="1.34.4",
        runs={"release": {"release": "FAIL"}, "all": {"drift": "PASS"}},
        heals=[Heal(2, 0.5, 2.0), Heal(2, 7.0, 7.5)],
        again=["all"],
    )
    first, second = [line for line in page([SEEN, early], ()).splitlines() if line.startswith("| 1.3")]
    assert "| PASS (1 checkers) | PASS (2 checkers) | 51 (50.2), 2 (2), 6 (6) |" in first
    assert "| release FAIL | PASS (1 checkers), second try (CPU) |" in second
    assert "2 (6) **not as modelled**, 7.5 (7) |" in second
