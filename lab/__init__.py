"""The lab: a real Kubernetes cluster with a real Argo CD on this machine, for trying verdicts on real systems.

Run it as ``python -m lab up | down | status``. Nothing here may import rollproof: the lab is a target like any other.
"""
