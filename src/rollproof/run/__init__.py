"""A run: the session around the drills, the pytest process that holds them, and what puts things back after them."""
