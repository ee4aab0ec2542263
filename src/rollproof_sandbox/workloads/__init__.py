"""Workloads: Deployments, ReplicaSets, pods and EndpointSlices of the sandbox, with the behaviour of a real cluster."""

from rollproof_sandbox.workloads.controllers import Controllers

__all__ = ["Controllers"]
