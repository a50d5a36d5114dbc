"""The statements of one AddMember, recorded from the server's own code, and run again by SQLAlchemy Core alone."""

import time
from contextlib import closing
from typing import Any, Final

from sqlalchemy import event

from bench import policies
from wsauthz.metrics import Metrics
from wsauthz.model.identifiers import new_id
from wsauthz.policy.current import CurrentPolicy
from wsauthz.replica.replica import Replica
from wsauthz.replica.writing import write
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store.database import Connection, Database
from wsauthz.tenancy import memberships
from wsauthz.tenancy.transaction import Caller

Recorded = list[tuple[Any, Any]]
"""Statements as SQLAlchemy objects, and their parameters."""

_USER: Final = "recorded_user"


def recorded(url: str, place: str, operator: str) -> Recorded:
    """Return the statements of adding one member, in their order, except those of the savepoints of the pool."""
    found: Recorded = []

    def note(_connection: Connection, statement: Any, multiple: Any, parameters: Any, _options: Any) -> None:
        found.append((statement, multiple or parameters))

    with closing(Database(url, wait_seconds=30)) as database:
        replica = Replica(database, CurrentPolicy(policies.DIRECTORY, core_vocabulary()), Metrics())
        replica.load()
        by = Caller(caller="bench", actor=operator, method="MembershipService/AddMember")
        writer: Any = database._writer  # noqa: SLF001 - here and below, to see what it really does
        event.listen(writer._engine, "before_execute", note)  # noqa: SLF001
        write(replica, by, lambda tx: memberships.add(tx, place=("workspace", place), user_id=_USER, role="viewer"))
    return found


def replay(url: str, statements: Recorded, times: int) -> tuple[float, float]:
    """Return how many seconds a transaction of these statements takes, and how many of this process's CPU time.

    What must be unique is made new each time.
    """
    with closing(Database(url, wait_seconds=30)) as database:
        began = cpu = 0.0
        for number in range(times + 1):
            if number == 1:  # the first one compiles
                began, cpu = time.perf_counter(), time.process_time()
            with database.write() as connection:
                now = _Now()
                for statement, parameters in statements:
                    now.take(connection.execute(statement, now.fresh(parameters)))
        return (time.perf_counter() - began) / times, (time.process_time() - cpu) / times


class _Now:
    """What differs from one such transaction to the next."""

    def __init__(self) -> None:
        self._revision = self._entries = 0
        self._ids = {"id": new_id("member"), "user_id": new_id("user")}

    def take(self, result: Any) -> None:
        """Read the answer, as whoever asks would, and note where the database stands."""
        for row in result.mappings() if result.returns_rows else ():
            self._revision = row.get("value", self._revision)
            self._entries = row.get("audit_count", self._entries)

    def fresh(self, parameters: Any) -> Any:
        """Return parameters with these numbers, and with ids of their own."""
        if isinstance(parameters, list | tuple):
            return [self.fresh(each) for each in parameters]
        given = dict(parameters)
        numbers = {"revision": self._revision, "number": self._entries + 1, "audit_count": self._entries + 1}
        given |= {name: number for name, number in numbers.items() if name in given}
        return given | self._ids if given.get("user_id") == _USER and "id" in given else given
