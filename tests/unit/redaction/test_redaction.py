"""The register of secrets finds each of them in every form, and leaves alone what a run cannot do without."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
from canaries import FORMS
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rollproof.redaction import REDACTED, Redactor, register, texts_of, unhideable
from rollproof.redaction.ownwords import OWN_WORDS

SECRETS = [
    "s3cret-value-9c1d", "Zk9!x#q2&=+/~", "ab cd+ef/gh=ij", "tök\"en'/+1\\n%41", "7f3a9c0d11e2b4558899aabbccddeeff",
    "a'b\"c\\d`e$f", "пароль-и-ключ", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.Tm90LWEtcmVhbC1zaWduYXR1cmU",
    "p%25q%zz&amp;r-long", "hunter7",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_c4_a_secret_is_found_in_every_form(secret: str, form: str) -> None:
    redactor = Redactor()
    redactor.add([], pairs=[("shop", secret)])
    written = FORMS[form](secret)
    for before, after in (("", ""), ("body was 'x=", "' and more"), ('{"a":"', '"}'), ("<p>", "</p>"), ("?t=", "&b=1")):
        text = redactor.text(f"{before}{written}{after}")
        assert REDACTED in text
        assert written not in text
        assert (text.startswith(before) and text.endswith(after)) or "json" in form or "repr" in form or "she" in form
        assert not redactor.holds(text)


@pytest.mark.parametrize("octets", [b"p\xf6-latin-1-word", b"\xff\xfe\x00-in-two-bytes"])
def test_a_secret_that_is_no_utf_8_is_found_as_it_is_read_and_as_it_is_sent(octets: bytes) -> None:
    """A variable of the environment may be any bytes; Python reads those that are no UTF-8 as halves of characters."""
    secret = os.fsdecode(octets)
    redactor = Redactor()
    redactor.add([secret], pairs=[("shop", secret)])
    for written in (
        secret, base64.b64encode(octets).decode(), base64.b64encode(b"shop:" + octets).decode(), octets.hex(),
        quote(octets), quote_plus(octets), octets.decode("latin-1"),
    ):  # fmt: skip
        assert redactor.text(f"<{written}>") == f"<{REDACTED}>", ascii(written)


def test_half_a_character_that_stands_for_no_byte_is_found_too() -> None:
    assert Redactor(["pass\ud83dword"]).text("<pass\ud83dword>") == f"<{REDACTED}>"


@pytest.mark.parametrize("form", ["plain", "base64", "hex"])
def test_c4_what_is_left_of_a_cut_secret_is_hidden(form: str) -> None:
    for secret in SECRETS[:6]:
        redactor = Redactor([secret])
        written = FORMS[form](secret)
        for kept in range(8, len(written)):
            for tail in ("", "...", "…", "'..."):
                assert written[:kept] not in redactor.text(f"the body is {written[:kept]}{tail}")
            assert written[-kept:] not in redactor.text(f"{written[-kept:]} was the body")


def test_a_very_long_secret_is_found_and_costs_little_memory() -> None:
    """A keystore of 100 kB in a Secret took 500 MB, a token of 1 MB more than 6 GB: the run was killed."""
    secret = "".join(f"{number * 7919 % 100_003:05d}xY" for number in range(3000))
    redactor = Redactor([secret])
    for form in ("plain", "base64", "hex", "json", "percent"):
        written = FORMS[form](secret)
        assert redactor.text(f"the body is {written}, no more") == f"the body is {REDACTED}, no more", form
        for piece in (written[:8], written[:5000], written[-5000:], written[3000:6000]):
            assert redactor.text(f"<{piece}>") == f"<{REDACTED}>", form
    assert sum(map(len, redactor._index.grams.values())) < 2 * len(secret)
    before = register._is_no_word.cache_info().currsize
    for kept in range(4000, 4050):
        assert redactor.text(f"<{secret[:kept]}>") == f"<{REDACTED}>"
    assert register._is_no_word.cache_info().currsize == before, "no long fragment is remembered"


@pytest.mark.parametrize("form", ["percent", "json", "json in json", "html", "repr of bytes", "shell"])
def test_c4_what_was_cut_and_then_escaped_is_hidden(form: str) -> None:
    for secret in SECRETS[:6]:
        redactor = Redactor([secret])
        for kept in range(8, len(secret)):
            for piece in (FORMS[form](secret[:kept]), FORMS[form](secret[-kept:])):
                assert piece not in redactor.text(f"the body is {piece}...")


def test_c4_down_to_eight_characters_at_either_end() -> None:
    redactor = Redactor(["s3cret-value-9c1d"])
    for cut in ("s3cret-v", "s3cret-va", "lue-9c1d", "alue-9c1d", "cret-value-9c"):
        for text in (f"it said {cut}", f"{cut} was said", f"b'{cut}'...", cut):
            assert cut not in redactor.text(text), text
    assert redactor.text("t-value-9") == REDACTED  # all that is left of a text that was cut at both ends
    assert redactor.text("s3cret-") == "s3cret-"


@examples(150)
@given(
    secret=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=8, max_size=40),
    layers=st.lists(
        st.sampled_from(["percent", "json in json", "html", "repr of bytes", "percent, everything", "json"]),
        min_size=1, max_size=3,
    ),
    around=st.tuples(st.text("abc /=:%&\\\"'<", max_size=12), st.text("abc /=:%&\\\"'>", max_size=12)),
)  # fmt: skip
def test_c4_a_secret_is_found_below_layers_of_escapes(secret: str, layers: list[str], around: tuple[str, str]) -> None:
    if unhideable(secret) or not secret.strip():
        return
    redactor = Redactor([secret])
    written = secret
    for layer in layers:
        written = FORMS[layer](written)
    text = redactor.text(f"{around[0]} {written} {around[1]}")
    assert REDACTED in text
    assert not redactor.holds(text)


@dataclass(frozen=True, slots=True)
class Told:
    name: str
    numbers: dict[str, object]
    seen: tuple[str, ...] = ()


def test_structures_stay_what_they_are_and_keys_are_redacted_too() -> None:
    redactor = Redactor(["s3cret-value-9c1d", "1234567890"])
    told = Told(
        "n s3cret-value-9c1d", {"s3cret-value-9c1d": [1, 2.5, None, True, 1234567890, b"s3cret-value-9c1d"]}, ("a",)
    )
    assert redactor.value(told) == Told(
        f"n {REDACTED}", {REDACTED: [1, 2.5, None, True, REDACTED, f"b'{REDACTED}'"]}, ("a",)
    )
    assert redactor.value({"rows": np.array([1, 2]), "n": np.int64(3), "set": {"x"}}) == {
        "rows": [1, 2], "n": 3, "set": {"x"}
    }  # fmt: skip
    assert next(texts_of(told)) == ("name", "n s3cret-value-9c1d")


def test_c3_json_stays_json_and_short_secrets_do_not_eat_words() -> None:
    redactor = Redactor(["abcd", "cafe1"])
    assert redactor.text("abcd abcde x-abcd deadcafe1f") == f"{REDACTED} abcde x-{REDACTED} deadcafe1f"


def test_what_the_plan_needs_stays_as_it_is() -> None:
    redactor = Redactor(["rollproof-staging-a1b2c3d4", "shop-2026-release", "controlled-7d1", "x-endpointslices"])
    redactor.keep({"name": "shop-2026", "nested": ["shop-2026-release"]})
    for text in ("Lease/shop/rollproof", "rollproof-staging", "shop-2026", "shop-2026-release", "the controllers"):
        assert redactor.text(text) == text


@pytest.mark.parametrize(
    "value", ["true", "Null", "12345", "release", "1.5", "abc", "Healthy", "zero-downtime", "None"]
)
def test_c3_a_word_that_facts_are_told_in_cannot_be_hidden(value: str) -> None:
    assert unhideable(value)
    assert value not in unhideable(value)
    assert Redactor([value]).text(f"it is {value}") == f"it is {value}"


@pytest.mark.parametrize("value", ["hunter2", "12345678", "s3cr", "demo", "correct horse"])
def test_c3_an_ordinary_secret_can_be_hidden(value: str) -> None:
    assert unhideable(value) == ""
    assert Redactor([value]).text(f"it is {value}, is it") == f"it is {REDACTED}, is it"


def test_every_word_that_facts_are_told_in_is_known() -> None:
    """What the code records, and what the stored histories hold, in the fields that are judged by."""
    root = Path(__file__).parents[3]
    words = set()
    for path in (root / "src/rollproof").rglob("*.py"):
        for call in re.findall(r"\.record\(\s*((?:\"[a-z-]+\",?\s*)+)", path.read_text()):
            words |= set(re.findall(r'"([a-z-]+)"', call))
    for path in (root / "tests/histories").rglob("timeline.jsonl"):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            words |= {event["source"], event["what"], event["outcome"], *event["data"]}
    assert {word for word in words if len(word) >= 4} - OWN_WORDS == set()


def test_a_password_in_a_url_and_what_looks_like_a_secret_in_a_strangers_words() -> None:
    redactor = Redactor()
    assert redactor.text("fetch https://bot:t0ken@host/x failed") == f"fetch https://bot:{REDACTED}@host/x failed"
    said = 'plugin: {"status": {"token": "abcdefgh"}} Authorization: Bearer abcdefghij password=hunter2;'
    hidden = redactor.foreign(said)
    assert not any(secret in hidden for secret in ("abcdefgh", "hunter2"))
    assert "plugin" in hidden
    assert redactor.foreign("remote: Invalid username or token. Password authentication is not supported") == (
        "remote: Invalid username or token. Password authentication is not supported"
    )


def test_c5_a_secret_with_a_newline_is_hidden_without_it() -> None:
    assert Redactor(["s3cret-value\n"]).text("it is s3cret-value, is it") == f"it is {REDACTED}, is it"
