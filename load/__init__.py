"""Load: the generator's own code (it runs in a child process of its own) and the drills that need load."""
