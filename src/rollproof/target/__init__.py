"""The target file: read, checked, and where its lines are. What it describes is `core.target`."""
