from dataclasses import replace

from tests.matrix import Heal, Seen, differences, page, paths

SEEN = Seen(
    "1.37.2",
    "3.6.1",
    "2026-11-29 12:00 UTC",
    {"release": {"release": "PASS"}, "all": {"drift": "PASS", "undo": "PASS"}},
    heals=[Heal(0, 50.2, 51.0), Heal(1, 0.4, 2.0), Heal(2, 0.5, 6.0)],
    fields={"Pod": [".status", ".status.phase"]},
)


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
    assert differences(SEEN, other) == ["Pod, only here: `.status.resize`", "Pod, not here: `.status.phase`"]


def test_the_page_says_what_failed_and_which_gap_is_not_as_modelled() -> None:
    early = replace(
        SEEN,
        kubernetes="1.34.4",
        runs={"release": {"release": "FAIL"}, "all": {"drift": "PASS"}},
        heals=[Heal(2, 0.5, 2.0), Heal(2, 7.0, 7.5)],
        again=["all"],
    )
    first, second = [line for line in page([SEEN, early]).splitlines() if line.startswith("| 1.3")]
    assert "| PASS (1 checkers) | PASS (2 checkers) | 51 (50.2), 2 (2), 6 (6) |" in first
    assert "| release FAIL | PASS (1 checkers), second try (CPU) |" in second
    assert "2 (6) **not as modelled**, 7.5 (7) |" in second
