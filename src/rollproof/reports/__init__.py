"""Verdicts in, bytes out: the HTML page, Allure results, JUnit, the documents of `--json`, and the console.

Nothing here judges. A report shows what the checkers concluded and the facts behind it; it must never change a result,
leave out an unknown, or need a cluster: `rollproof judge` writes the same reports from a stored run.
"""
