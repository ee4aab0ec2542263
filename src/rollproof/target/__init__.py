"""The target file: reading, checking, and the line of each setting. Its fields are in `core.target`."""
