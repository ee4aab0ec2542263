"""Secretpatterns: what looks like a secret, by the patterns of detect-secrets (bc-detect-secrets, which is kept up).

Only its regular expressions are used, and of those only the ones with a form of their own. Not used: `analyze_string`
(of a token of GitHub it gives `ghp`, the pattern's group, and of a private key the lines around it as well); entropy
and key words (a sha or an image's digest looks like a password to them); `verify`, which would send what was found to
whoever it may belong to. The one importer of that library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

__all__ = ["alike"]

_JWT = JwtTokenDetector()
_JWT_HEADER = re.compile(r"(?<![A-Za-z0-9_=-])[A-Za-z0-9_=-]++\.")  # what a token's first part may be the end of
_DETECTORS: tuple[RegexBasedDetector, ...] = (
    AWSKeyDetector(), AzureStorageKeyDetector(), GitHubTokenDetector(), MailchimpDetector(), NpmDetector(),
    PrivateKeyDetector(), SendGridDetector(), SlackDetector(), SquareOAuthDetector(), StripeDetector(),
)  # fmt: skip


def alike(text: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of what looks like a secret in a text: `("AWS Access Key", "AKIA…")`."""
    for detector in _DETECTORS:
        for match in (match for pattern in detector.denylist for match in pattern.finditer(text)):
            yield detector.secret_type, match[0]
    yield from ((_JWT.secret_type, token) for token in _web_tokens(text) if _is_web_token(token))


def _web_tokens(text: str) -> Iterator[str]:
    """What the pattern finds, in a time that grows with the length: alone it tries each `eyJ` of a word to its end."""
    (pattern,), end = _JWT.denylist, 0
    for header in _JWT_HEADER.finditer(text):
        begin = text.find("eyJ", max(end, header.start()), header.end())
        if begin >= 0 and (match := pattern.match(text, begin)) is not None:
            end = match.end()
            yield match[0]


def _is_web_token(token: str) -> bool:
    try:
        return bool(_JWT.is_formally_valid(token))
    except RecursionError:  # JSON of ten thousand brackets
        return False
