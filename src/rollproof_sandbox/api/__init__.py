"""The sandbox's Kubernetes API server: objects, versions, patches and watches, served to the unmodified client."""
