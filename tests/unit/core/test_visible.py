"""Outside text, made visible."""

from __future__ import annotations

import pytest

from rollproof.core.visible import printable, visible


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert visible("a\x1b[31m\n\tb\u202e\x9b\U000e0041") == "a\\x1b[31m\n\tb\\u202e\\x9b\\U000e0041"


@pytest.mark.parametrize(("code", "shown"), [
    (0x0, r"\x00"), (0x9F, r"\x9f"), (0x200E, r"\u200e"), (0x2069, r"\u2069"), (0xE0001, r"\U000e0001"),
])  # fmt: skip
def test_a_sign_is_written_as_python_writes_it(code: int, shown: str) -> None:
    assert visible(f"a{chr(code)}b") == f"a{shown}b"


def test_one_printable_line_of_bounded_length() -> None:
    assert printable("a\x1b[31m\n\u202eb\x9b") == "a\\x1b[31m\\n\\u202eb\\x9b"
    assert printable("ü\n€") == "ü\\n€"
    assert printable("x" * 100_000) == "x" * 600 + "..."
    assert printable("x" * 600) == "x" * 600
    assert printable("abcdef", length_max=3) == "abc..."
