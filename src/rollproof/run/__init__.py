"""A run: the session around the drills, the pytest process that runs them, and the undo after them."""
