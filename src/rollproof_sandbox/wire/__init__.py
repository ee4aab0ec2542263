"""What the pod process and the ingress process share: an event loop, a connection, a listener, HTTP/1.1 requests.

asyncio would do it, at three times the time to start (60 ms of CPU for each pod) and twice the CPU a request; both are
taken from the load generator, which shares two cores with all of it. Standard library only; no typing, dataclasses or
logging either, which are slow to import.
"""
