"""Argo CD's application controller, as far as rollproof's drills can see it: version 3.2.6, one Application.

Operations are written as 3.6 does, unless a setting says otherwise; the rules of self-heal are those of 3.2.6.
"""

from rollproof_sandbox.argocd.controller import Controller

__all__ = ["Controller"]
