"""One key more in a file of KEY=value lines, as a configMapGenerator reads it; manifests are in test_overlay.py."""

from __future__ import annotations

import pytest

from rollproof.clients.settingfile import key_value, with_key, without_key
from rollproof.errors import InputError

PATH, KEY = "app.env", "ROLLPROOF_MARK"


@pytest.mark.parametrize("text", ["", "ZONE=UTC\n", "# of dev\n\nZONE=UTC", "\ufeffZONE=a=b\n", "HOME\nZONE=\r\n"])
def test_a_line_is_added_and_taken_out_and_nothing_else(text: str) -> None:
    changed = with_key(PATH, text, KEY, "abc")
    assert (key_value(PATH, text, KEY), key_value(PATH, changed, KEY)) == (None, "abc")
    assert changed.replace(f"{KEY}=abc\n", "") == text
    assert without_key(PATH, changed, KEY, "abc") == text


def test_what_stands_in_a_comment_or_has_no_value_is_not_there() -> None:
    assert key_value(PATH, f"# {KEY}=abc\n{KEY}\n", KEY) is None


def test_the_last_of_two_lines_counts() -> None:
    assert key_value(PATH, f"{KEY}=a\n{KEY}=b\n", KEY) == "b"


def test_a_key_that_is_there_is_not_added_again_and_not_taken_out_when_it_is_another() -> None:
    with pytest.raises(InputError, match="has the key ROLLPROOF_MARK already"):
        with_key(PATH, f"{KEY}=theirs\n", KEY, "abc")
    with pytest.raises(InputError, match="not as it was written"):
        without_key(PATH, f"{KEY}=theirs\n", KEY, "abc")


@pytest.mark.parametrize("text", ["images:\n", "- name: web\n", "=abc\n", "my key=1\n"])
def test_what_is_no_file_of_lines_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no file of KEY=value lines"):
        key_value("Kustomization", text, KEY)


def test_a_manifest_has_it_under_data() -> None:
    text = "kind: ConfigMap\ndata:\n  ZONE: UTC\n"
    changed = with_key("patch.yml", text, KEY, "abc")
    assert changed == f'kind: ConfigMap\ndata:\n  {KEY}: "abc"\n  ZONE: UTC\n'
    assert key_value("patch.yml", changed, KEY) == "abc"
    assert without_key("patch.yml", changed, KEY, "abc") == text
