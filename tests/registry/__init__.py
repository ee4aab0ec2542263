"""A real registry and a real runner beside the lab: `make test-registry`."""
