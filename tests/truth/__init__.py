"""The track record: every defect of the sandbox, and rollproof's verdict on it."""
