"""Redaction: the register of secrets, and their removal from everything that leaves the process."""

from rollproof.redaction.register import REDACTED, SECRETS, Redactor, texts_of, unhideable

__all__ = ["REDACTED", "SECRETS", "Redactor", "texts_of", "unhideable"]
