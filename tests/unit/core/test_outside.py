"""Outside data is read into typed values, or refused with whose it is, which field, what was expected and seen (D5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.outside import Outside, parsed, shown, spelled, timestamp_s, without_nulls
from rollproof.errors import OutsideDataError, RollproofError, RunFolderError

WHO = "Pod/shop/web-1 of the API"
NOTHING: list[dict[str, Any]] = [{}, {"x": None}]


@pytest.mark.parametrize("nothing", NOTHING)
def test_null_and_absent_are_one_thing(nothing: dict[str, Any]) -> None:
    item = Outside.of(nothing, WHO)
    read = item.text, item.integer, item.count, item.real
    assert [one("x", default) for one, default in zip(read, ("d", 3, 4, 0.5), strict=True)] == ["d", 3, 4, 0.5]
    assert [one("x") for one in read] == ["", 0, 0, 0.0]
    assert (item.flag("x", default=True), item.flag("x"), item.time_s("x")) == (True, False, None)
    assert (item.objects("x"), item.texts("x"), item.table("x"), item.child("x").value) == ((), (), {}, {})
    assert not item.has("x")


@pytest.mark.parametrize(
    ("value", "says"),
    [(None, False), ("", False), ([], False), ({}, False), (0, True), (False, True), (" ", True), ([None], True)],
)
def test_null_and_empty_say_nothing_and_zero_does(value: Any, says: bool) -> None:
    assert Outside.of({"x": value}, WHO).has("x") is says


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        ("text", 1, "a string"), ("integer", "3", "a whole number"), ("integer", True, "a whole number"),
        ("integer", 1.5, "a whole number"), ("count", -1, "a number from 0 on"), ("real", "x", "a number"),
        ("flag", "true", "true or false"), ("flag", 1, "true or false"), ("child", [], "an object"),
        ("objects", {}, "a list"), ("objects", [1], "a list of objects"), ("texts", [None], "a list of strings"),
        ("texts", "abc", "a list"), ("needed", "", "a string that is not empty"),
        ("time_s", "2026-13-45", "a time such as 2026-11-28T10:00:00Z"),
        ("child", "x", "an object"),
    ],
)  # fmt: skip
def test_d5_a_value_of_another_type_says_who_which_expected_and_seen(reader: str, value: Any, expected: str) -> None:
    item = Outside.of({"status": {"x": value}}, WHO).child("status")
    with pytest.raises(OutsideDataError) as caught:
        getattr(item, reader)("x")
    assert str(caught.value) == f"{WHO}: status.x must be {expected}, not {shown(value)}"


def test_a_part_is_refused_by_the_error_of_the_whole() -> None:
    whole = Outside.of({"a": {"x": 1}, "b": [{"x": 1}]}, WHO, error=RunFolderError)
    for part in (whole.child("a"), *whole.objects("b")):
        with pytest.raises(RunFolderError):
            part.text("x")


def test_the_place_of_an_element_is_told() -> None:
    pod = Outside.of({"spec": {"containers": [{"name": "a"}, {"name": 7}]}}, WHO)
    with pytest.raises(OutsideDataError, match=r"spec\.containers\[1\]\.name must be a string, not 7"):
        [one.text("name") for one in pod.child("spec").objects("containers")]


def test_a_long_value_is_shown_cut_and_says_so() -> None:
    whole, cut = shown("x" * 60), shown("x" * 5000)
    assert whole == f'"{"x" * 60}"'
    assert cut.startswith('"xxx')
    assert cut.endswith('..."')
    assert len(cut) < 100


def test_a_null_counts_as_absent_however_deep_it_lies() -> None:
    item = {"a": None, "b": {"c": None, "d": [1, {"e": None, "f": 2}, [{"g": None}]]}, "h": 0, "i": "", "j": False}
    assert without_nulls(item) == {"b": {"d": [1, {"f": 2}, [{}]]}, "h": 0, "i": "", "j": False}


def test_an_element_that_is_no_object_is_told() -> None:
    with pytest.raises(OutsideDataError, match=r"containers must be a list of objects, not "):
        Outside.of({"containers": [{"name": "a"}, 7]}, WHO).objects("containers")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe{\x00", "is not UTF-8"), ("{}".encode("utf-16"), "is not UTF-8"),
        (b"", ": it begins with nothing at all"),
        (b"\xff" + b"x" * 20, 'plan.json is not UTF-8: it begins with "b\'\\xff' + "x" * 19 + "'\""),
        (b"{", "cut off or damaged: no JSON"), (b'{"a": NaN}', "NaN is no JSON"),
        (b"[1e999]", "plan.json holds a number that is too large"),
        (b"[-Infinity]", "no JSON"), (b"[" * 100_000 + b"]" * 100_000, "deeper than 100"),
        (b"[" * 200 + b"]" * 200, "deeper than 100"), (b"9" * 5000, "no JSON"),
        (b"[99999999999999999999]", "plan.json holds a number beyond 64 bits"),
        (b"[9223372036854775808]", "beyond 64 bits"), (b"[-9223372036854775808]", "beyond 64 bits"),
        (b"<html>", 'begins with "<html>"'),
    ],
)  # fmt: skip
def test_d5_json_that_nobody_can_work_with(text: bytes, said: str) -> None:
    with pytest.raises(RunFolderError, match=r"plan\.json") as caught:
        parsed(text, "plan.json", error=RunFolderError)
    assert said in str(caught.value)


def test_d5_half_a_surrogate_pair_becomes_a_character_that_can_be_written() -> None:
    found = parsed(b'{"a\\ud800": ["\\udfff", "\\ud83d\\ude00"]}', "x")
    assert json.dumps(found, ensure_ascii=False).encode()
    assert found == {"a\ufffd": ["\ufffd", "\U0001f600"]}
    assert parsed('["\udfff"]', "x") == ["\ufffd"], "of a text that holds it unescaped"


def test_a_surrogate_is_found_however_its_escape_is_spelled() -> None:
    for digits in ("d800", "D800", "dA00", "Db00", "DFFF"):
        assert parsed(f'["\\u{digits}"]', "x") == ["\ufffd"]


def test_a_bom_is_no_fault() -> None:
    assert parsed(b"\xef\xbb\xbf{}", "x") == parsed("\ufeff{}", "x") == {}


def test_the_largest_whole_number_of_64_bits_is_read() -> None:
    assert parsed("[9223372036854775807, -9223372036854775807]", "x") == [2**63 - 1, 1 - 2**63]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    max_leaves=20,
)
READERS = ["text", "integer", "count", "real", "flag", "child", "objects", "texts", "table", "time_s", "needed"]


def complaint(action: Callable[[], object]) -> str:
    try:
        action()
    except RollproofError as error:
        return str(error)
    return ""


@given(ANYTHING, st.sampled_from(READERS))
def test_d5_any_value_is_read_or_refused_in_one_short_line(value: Any, reader: str) -> None:
    said = complaint(lambda: getattr(Outside.of({"x": value}, WHO), reader)("x"))
    assert len(said) < 300
    assert said.isprintable()


@given(st.binary(max_size=80))
def test_d5_any_bytes_are_read_or_refused(content: bytes) -> None:
    said = complaint(lambda: json.dumps(parsed(content, "x"), ensure_ascii=False, allow_nan=False).encode())
    assert said.isprintable()


def test_times() -> None:
    assert timestamp_s("1970-01-01T00:00:01Z") == 1.0
    assert timestamp_s("2026-11-28T10:00:00.5+01:00") == 1795856400.5
    odd = "|x|2026-13-01|2026-11-28|2026-11-28T10:00:00|0001-01-01T00:00:00+23:59|9999-12-31T23:59:59Z"
    assert [timestamp_s(text) for text in [*odd.split("|"), "1969-12-31T00:00:00Z", "9" * 400]] == [None] * 9
    assert timestamp_s("1970-01-01T00:00:00Z") == 0.0
    assert timestamp_s("2170-05-31T23:59:59Z") is not None
    assert timestamp_s("2170-06-01T00:00:00Z") is None


def test_a_value_that_is_no_json_is_shown_by_what_python_calls_it_or_its_type() -> None:
    itself: list[Any] = []
    itself.append(itself)
    assert (shown({1}), shown(itself), shown({(): 1})) == ('"{1}"', "a list", "a dict")


def test_a_value_is_spelled_as_it_is_read() -> None:
    assert (spelled("\u00e9"), spelled(["\u00e9"]), spelled(True), spelled(None)) == (
        "\u00e9",
        '["\u00e9"]',
        "true",
        "null",
    )


def test_a_value_is_shown_in_letters_that_any_terminal_has_and_cut_after_sixty() -> None:
    assert shown({"a": "\u00e9"}) == '{"a": "\\u00e9"}'
    assert shown(list("x" * 13)).endswith('"x",...')
    assert shown("x" * 61) == f'"{"x" * 60}..."'
