"""The edges: who speaks to a cluster, an app, a registry, git. Thin, one attempt each, typed errors; no judgement."""
