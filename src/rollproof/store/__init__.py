"""What a run keeps on disk: its folder, the request log, the journal of changes, the manifest."""
