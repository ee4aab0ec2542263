"""What looks like a secret is found; a sha, a digest, a placeholder and an everyday URL are not."""

from __future__ import annotations

import base64

import pytest
from detect_secrets.plugins.jwt import JwtTokenDetector
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rollproof.probes.secretpatterns import _web_tokens, alike

# Put together here, so that no tool takes this file for a leak.
SECRETS = {
    "AWS Access Key": "AK" + "IA" + "QWERTYUIOPASDFGH",
    "GitHub Token": "gh" + "p_" + "a1B2" * 9,
    "Private Key": "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEow" * 12 + "==\n-----END RSA " + "PRIVATE KEY-----",
    "Slack Token": "xox" + "b-123456789012-123456789012-abcdefabcdefabcdefabcdef",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJhIn0.c2lnbmF0dXJlMTIzNDU2Nzg5MDEyMzQ1Ng",
}
HARMLESS = (
    "image: ghcr.io/shop/web@sha256:" + "0123456789abcdef" * 4,
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "DB_PASS: <password>",
    "https://git.example/shop/env.git?ref=main#L10",
    "pod-template-hash: 5b6f8b6cc9",
    "uid: 0f8fad5b-d9cb-469f-a165-70867728950e",
)


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_is_found(kind: str) -> None:
    text = f"before\nkey: {SECRETS[kind]}\nafter"
    found = [(one, value.strip()) for one, value in alike(text)]
    assert [one for one, _ in found] == [kind], "once, and as nothing else"
    assert found[0][1] in text
    assert len(found[0][1]) > 16, "the whole of it"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_is_not_found(text: str) -> None:
    assert list(alike(text)) == []


@examples(400)
@given(st.lists(st.sampled_from(["eyJ", "eyJh", ".", "a", "=", " ", "-", "/", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0"])))
def test_a_web_token_is_found_where_the_pattern_finds_it(words: list[str]) -> None:
    (pattern,), text = JwtTokenDetector.denylist, "".join(words)
    assert list(_web_tokens(text)) == [match[0] for match in pattern.finditer(text)]


def test_a_long_text_that_begins_tokens_and_ends_none_takes_no_time() -> None:
    assert list(alike("eyJ" * 700_000)) == []  # 2 MB; each `eyJ` to the end would be 10^12 steps


def test_a_token_whose_json_is_too_deep_is_none() -> None:
    deep = base64.urlsafe_b64encode(b'{"a":' + b"[" * 100_000).decode().rstrip("=")
    assert list(alike(f"{deep}.{deep}.x")) == []
