"""Database silent: it takes connections and says nothing, as one whose disk hangs; later it goes on where it was."""

from __future__ import annotations

from rollproof.faults.database_frozen import DatabaseFrozen

__all__ = ["FAULT", "DatabaseSilent"]


class DatabaseSilent(DatabaseFrozen):
    """SIGSTOP and SIGCONT, and nothing else: whoever waited is answered when it goes on."""

    name = "database-silent"
    peers = "Chaos Mesh IOChaos and Krkn, by other means: neither stops the process"
    done = "its main process stopped by SIGSTOP"
    undone = "SIGCONT, if it is still the same process"


FAULT = DatabaseSilent()
