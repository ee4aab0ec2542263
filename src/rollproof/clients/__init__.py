"""The edges: the only importers of kubernetes, httpx and git. Thin, one attempt each, typed errors; no judgement."""
