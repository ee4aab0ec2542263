"""Load: the generator's code (it runs in a child process) and the drills that need load."""
