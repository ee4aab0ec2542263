"""Shared by the pod and ingress processes: an event loop, a connection, a listener, HTTP/1.1 requests.

asyncio would work, with three times the start-up (60 ms of CPU for each pod) and twice the CPU per request; the load
generator shares the same two cores. Standard library only; also no typing, dataclasses or logging, which are slow to
import.
"""
