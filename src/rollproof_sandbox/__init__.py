"""The embedded target: a small Kubernetes, Argo CD, git server, ingress and app on 127.0.0.1, without Docker or root.

Drills cannot tell it from a cluster. Every way in which a system can be wrong can be switched on by name (a defect), so
that the harness itself is tested. It imports nothing of the harness that judges: only `errors` and the standard library
(and small libraries for YAML and JSON patches), so that a mistake there cannot hide here.
"""
