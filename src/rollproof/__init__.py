"""rollproof: prove, with evidence, that a GitOps release, its drift recovery and its rollback really work."""

__version__ = "0.1.0"
