"""The embedded target: a small Kubernetes, Argo CD, git server, ingress and app on 127.0.0.1, without Docker or root.

To a drill it looks like a cluster. Every known defect of a target can be switched on by name, so that the harness
itself is tested. It imports no judging code: only `errors`, the standard library and small libraries for YAML and JSON
patches, so that a mistake there cannot hide here.
"""
