"""Facts in, verdicts and causes out. `checkers` and `diagnose` are pure; `judging` reads and writes the run folder."""
