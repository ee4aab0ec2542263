"""Database connections: all that the server allows are taken, so that the next one is "too many"; later given back.

The limit is lowered to the least that MariaDB takes, that many idle connections of ours are held, and those that the
app still has are ended. Neither outlives the database's container.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.core.target import Database
from rollproof.faults.database_server import OnDatabaseServer, query, sql

__all__ = ["FAULT", "DatabaseConnections"]

_LEAST = 10  # of max_connections in MariaDB; MySQL allows less
_TRIES = 10  # one connection more is the administrator's, and the app's next login may hold it for a moment


class DatabaseConnections(OnDatabaseServer):
    """By the global variable max_connections, which is back at its configured value when the server starts again."""

    name = "database-connections"
    peers = "none"
    state = "max_connections"
    changed = str(_LEAST)

    def unfit(self, database: Database) -> str:  # noqa: ARG002 - without an account no connection of the app is ended
        """Nothing."""
        return ""

    def words(self, args: Mapping[str, Any]) -> str:  # noqa: ARG002 - it is global
        """The variable, and what takes the connections."""
        return f"{_LEAST} connections held, and global max_connections"

    def look_script(self, args: Mapping[str, Any]) -> str:
        """The variable's value."""
        return _often(query(args, "SELECT @@GLOBAL.max_connections"))

    def fault_script(self, args: Mapping[str, Any]) -> str:
        """Hold, and only then lower: else somebody else would have a place of ours. Our own end by themselves."""
        hold = f"(sleep {args['dead_man_s']:g} | {sql(args)}) >/dev/null 2>&1 &"
        held = query(args, _listed(args["admin"], "COUNT(*)") + " AND COMMAND = 'Sleep'")
        lines = [
            f"for number in $(seq {_LEAST}); do {hold} done",
            f'for look in $(seq {_TRIES}); do [ "$({held})" -ge {_LEAST} ] && break; sleep 0.2; done',
            f"{query(args, f'SET GLOBAL max_connections = {_LEAST}')} || exit 1",
        ]
        if args["account"]:
            theirs = query(args, _listed(args["account"], "CONCAT('KILL ', ID, ';')"))
            lines.append(f"{theirs} | {sql(args)} --force 2>/dev/null")  # one may have left by itself
        return "\n".join([*lines, "true"])

    def undo_script(self, args: Mapping[str, Any]) -> str:
        """The value from before, unless somebody else has set another since. What was held is ended by the undo."""
        value = query(args, "SELECT @@GLOBAL.max_connections")
        change = query(args, f"SET GLOBAL max_connections = {args['original']}")
        return _often(f'{{ now=$({value}) && {{ [ "$now" != {_LEAST} ] || {change}; }}; }}')


def _listed(account: str, what: str) -> str:
    """Of the connections of an account; its name is checked when the target file is read (`target.rules`)."""
    return f"SELECT {what} FROM information_schema.PROCESSLIST WHERE USER = '{account}'"  # noqa: S608 - see above


def _often(command: str) -> str:
    """A command that is tried until it has been done: with all connections taken a login may be refused."""
    return f"for try in $(seq {_TRIES}); do {command} 2>/dev/null && exit 0; sleep 0.3; done; {command}"


FAULT = DatabaseConnections()
