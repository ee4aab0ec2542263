"""The pod's process: an HTTP server for each pod of the sandbox."""
