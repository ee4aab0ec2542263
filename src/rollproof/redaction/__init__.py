"""The one place that knows secrets, and takes them out of whatever leaves the process."""

from rollproof.redaction.register import REDACTED, SECRETS, Redactor, texts_of, unhideable

__all__ = ["REDACTED", "SECRETS", "Redactor", "texts_of", "unhideable"]
