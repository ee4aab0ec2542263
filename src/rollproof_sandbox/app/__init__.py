"""The pod process: a real HTTP server for each pod of the sandbox."""
