"""Real readers of what is exported: `make test-readers`."""
