"""Argo CD's application controller, as far as rollproof's drills can see it: version 3.6.1, one Application.

Where the lines since 3.2 differ in what is seen here, a setting chooses: how operations are written and heals counted
(3.3), when a request to refresh is taken away (3.6).
"""

from rollproof_sandbox.argocd.controller import Controller

__all__ = ["Controller"]
