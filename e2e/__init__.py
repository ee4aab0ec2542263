"""End to end: drills of the way from git to the user."""
