"""Argo CD's application controller, as far as rollproof's drills can see it: version 3.2.6, one Application."""

from rollproof.sandbox.argocd.controller import Controller

__all__ = ["Controller"]
