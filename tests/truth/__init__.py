"""The track record: every defect of the sandbox, and what rollproof says of it."""
