"""Self-heal: how Argo CD repairs a drift, and when: back-off, fairness, causes, interference, sync windows."""
