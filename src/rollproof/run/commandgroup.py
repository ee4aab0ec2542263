"""The group of our commands, as typer calls them: errors become ours, and no word of a command may be empty.

An empty word is `--sha "$SHA"` of a variable that is not set. Taken as it is, an empty sha is "the next one", an empty
endpoint "send nothing", and an empty path this folder. The same goes for a variable of ours that is set and empty: the
default would be another target than the one that was meant.
"""

from __future__ import annotations

import os
from typing import Any

import typer.core

from rollproof.errors import CannotJudgeError, InputError

__all__ = ["Group"]

_FOREIGN = "command"  # words of `rollproof sandbox` that are another program's


class Group(typer.core.TyperGroup):
    """typer's own exit codes (130, or 1, which is FAIL here) say nothing about the target: our errors replace them."""

    def make_context(self, *words: Any, **more: Any) -> Any:
        """Look at the words before a command; an interrupt there has no exit code of typer's either."""
        try:
            return super().make_context(*words, **more)
        except KeyboardInterrupt:
            raise CannotJudgeError("interrupted") from None

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse what stands before the command. There typer installs completion, in the shell's files in HOME."""
        try:
            return super().parse_args(ctx, args)
        except OSError as error:
            where = f"{error.filename} cannot be written: {error.strerror}"
            hint = "`rollproof --show-completion` prints it, for a file of your choice"
            raise InputError(f"completion cannot be installed: {where}", hint) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interrupt or a closed stream becomes one of our errors."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise CannotJudgeError("interrupted") from None
        except BrokenPipeError:
            raise CannotJudgeError("standard output was closed before all of it was written") from None
        except (EOFError, OSError) as error:  # a bug of ours: OSErrors that can be expected have errors of their own
            raise RuntimeError(f"{type(error).__name__}: {error}") from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, and refuse a word or variable of it that is empty, which would pass for none."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:
            _refuse_empty(command, ctx, rest)
        return name, command, rest


def _refuse_empty(command: Any, ctx: Any, words: list[str]) -> None:
    """InputError for the first option, argument or variable that was given without anything in it."""
    # Resilient: words that cannot be parsed are refused by the command itself, in its own words.
    own = type(ctx)(command, parent=ctx, resilient_parsing=True, **command.context_settings)
    given, _, _ = command.make_parser(own).parse_args(args=list(words))
    for one in command.params:
        value = given.get(one.name)
        if value is None and one.envvar and os.environ.get(one.envvar) == "":
            raise InputError(f"the environment variable {one.envvar} is empty", "give it a value or unset it")
        if one.name != _FOREIGN and "" in (value if isinstance(value, list | tuple) else [value]):
            name = one.opts[0] if one.opts[0].startswith("-") else one.metavar or one.name
            raise InputError(f"{name} is empty", "give it a value or leave it out; is a variable not set?")
