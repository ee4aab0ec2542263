"""The lab: a real Kubernetes with a real Argo CD on this machine, so that verdicts are tried on the real thing.

Run it as ``python -m lab up | down | status``. Nothing here may import rollproof: the lab is a target like any other.
"""
