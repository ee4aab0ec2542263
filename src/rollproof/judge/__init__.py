"""Facts in, verdicts and causes out. `checkers` and `diagnose` are pure; `judging` reads the folder and writes it."""
