"""Database credentials: the app's account is locked, so that the database answers and lets nobody in; later unlocked.

What a password that was rotated on one side only does to the app, by `ALTER USER ... ACCOUNT LOCK`: whoever is logged
in stays, and every new login is refused at once. The password and its hash are neither read nor changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.core.target import Database
from rollproof.faults.database_away import UNKNOWN_OTHERS
from rollproof.faults.database_server import OnDatabaseServer, query

__all__ = ["FAULT", "DatabaseCredentials"]


class DatabaseCredentials(OnDatabaseServer):
    """Locked by the statement of MariaDB (from 10.4) and MySQL (from 5.7) for it."""

    name = "database-credentials"
    others = f"is refused as long as that lasts, if it logs in with the same account; {UNKNOWN_OTHERS}"
    peers = "none"
    state = "the account"
    changed = "locked"

    def unfit(self, database: Database) -> str:
        """Whose account."""
        return "" if database.account else "faults.database.account must say as whom the app logs in"

    def words(self, args: Mapping[str, Any]) -> str:
        """The account."""
        return f"account '{args['account']}'@'{args['account_host']}'"

    def look_script(self, args: Mapping[str, Any]) -> str:
        """Read in the container, because the same answer holds the password's hash."""
        shown = query(args, f"SHOW CREATE USER {_account(args)}")
        return f'said=$({shown}) || exit 1; case "$said" in *"ACCOUNT LOCK"*) echo locked;; *) echo open;; esac'

    def fault_script(self, args: Mapping[str, Any]) -> str:
        """Only new logins are refused: an app that keeps its connections feels nothing, and the fault is void."""
        return query(args, f"ALTER USER {_account(args)} ACCOUNT LOCK")

    def undo_script(self, args: Mapping[str, Any]) -> str:
        """What was not locked before."""
        return query(args, f"ALTER USER {_account(args)} ACCOUNT UNLOCK")


def _account(args: Mapping[str, Any]) -> str:
    return f"'{args['account']}'@'{args['account_host']}'"


FAULT = DatabaseCredentials()
