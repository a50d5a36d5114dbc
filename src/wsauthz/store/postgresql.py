"""Connections to PostgreSQL: only to a server that may be written to, and cut off when it does not answer in time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError

from wsauthz.model.errors import Unavailable
from wsauthz.store.connecting import Connector
from wsauthz.store.database import UnusableUrl
from wsauthz.store.deadlines import Watchdog, WatchedConnection, is_disturbed
from wsauthz.store.refusals import translate

_CONNECT_SECONDS: Final = 2
_IDLE_SECONDS: Final = 10
_READS_LONGER: Final = 10
_MARGIN: Final = 1.2
"""How much longer than the server's own limit a statement may take before the connection is cut off."""
_SETTINGS: Final = """
SELECT set_config('statement_timeout', %s, is_shared), set_config('lock_timeout', %s, is_shared),
    set_config('timezone', 'UTC', is_shared), set_config('idle_in_transaction_session_timeout', %s, is_shared),
    current_setting('server_encoding'), is_shared, pg_is_in_recovery()
FROM (SELECT pg_backend_pid() <> %s AS is_shared) AS session
"""
"""For the session or, where others use it between two transactions, for the transaction. In UTC, because in a zone east
of Greenwich the end of 9999 is the year 10000, and no row with it could be read."""
_NO_SESSION: Final = 0
_ENCODING: Final = "UTF8"
"""Names of people are in any script; other encodings lack characters, or do not check them."""


class Pool:
    """Connections of one kind - to read, to write, or to poll - to one PostgreSQL database."""

    def __init__(self, url: URL, *, read_only: bool, connections: int, wait_seconds: float, is_direct: bool) -> None:
        """Prepare to connect; the server cancels what writes, or waits for a lock, after ``wait_seconds``.

        ``is_direct`` as ``Database`` takes it.

        Raises:
            UnusableUrl: libpq does not know an option of the URL.

        """
        _check_options(url)
        self._watchdog = Watchdog()
        self._wait_seconds = wait_seconds
        self._is_direct = is_direct
        self._limits = tuple(
            str(round(seconds * 1000))
            for seconds in (
                wait_seconds * (_READS_LONGER if read_only else 1),
                wait_seconds,
                max(_IDLE_SECONDS, wait_seconds * 10),
            )
        )
        self._lent = threading.local()
        self._url = url
        self._connector = Connector(self._connect)
        self._engine: Final = create_engine(
            url,
            # Writers must see what was committed while they waited for the revision row.
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
            execution_options={"postgresql_readonly": True} if read_only else {},
            pool_size=connections,
            max_overflow=0,
            pool_timeout=wait_seconds,
            hide_parameters=True,
        )
        event.listen(self._engine, "do_connect", lambda *_: self._connector.connect(self._lent.until))
        event.listen(self._engine, "connect", self._connected)
        event.listen(self._engine, "checkout", _look_first)
        event.listen(self._engine, "begin", self._begun)
        event.listen(self._engine, "handle_error", translate)

    @contextmanager
    def lend(self, began: float, *, patience: float = 1.0) -> Iterator[Connection]:
        """Give a connection; its first answer, or the lack of a connection, comes within the limit after ``began``.

        ``patience`` makes the limit longer for what takes longer, such as loading everything.
        """
        self._lent.limit = limit = self._wait_seconds * _MARGIN * patience
        self._lent.until = began + limit
        with self._engine.connect() as connection:
            watched: Any = connection.connection.driver_connection
            watched.watch.allow(limit, self._lent.until)
            yield connection

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._connector.close()
        self._engine.pool.dispose()

    def _connect(self) -> WatchedConnection:
        arguments, options = self._engine.dialect.create_connect_args(self._url)
        usual = {
            "connect_timeout": _CONNECT_SECONDS,
            "tcp_user_timeout": _CONNECT_SECONDS * 1000,
            "target_session_attrs": "read-write",
        }
        connection = WatchedConnection.connect(*arguments, **{**usual, **options, "client_encoding": "UTF8"})
        self._watchdog.watch(connection)
        return connection

    def _connected(self, connection: WatchedConnection, _record: Any) -> None:
        """Set up a session, unless it is shared: a pooler gives its clients numbers of its own for their sessions."""
        connection.watch.allow(self._wait_seconds * _MARGIN, self._lent.until)
        autocommit = connection.autocommit
        connection.autocommit = True
        session = connection.info.backend_pid if self._is_direct else _NO_SESSION
        row = connection.execute(_SETTINGS, (*self._limits, session)).fetchone()
        connection.autocommit = autocommit
        assert row is not None  # noqa: S101 - a SELECT without FROM a table
        *_, encoding, is_shared, is_standby = row
        if is_standby:
            # What it knows may be of any age. Once promoted it keeps its connections; a primary never steps down.
            raise psycopg.OperationalError("this server is a standby")
        if encoding != _ENCODING:
            raise psycopg.OperationalError(
                f"the encoding of the database is {encoding}: create one with the encoding UTF8, as "
                "`createdb --encoding=UTF8 --template=template0` does"
            )
        connection.is_shared = bool(is_shared)
        if connection.is_shared:
            connection.prepare_threshold = None  # statements are prepared in a session, under names of a connection

    def _begun(self, connection: Connection) -> None:
        """Set up a transaction in a shared session; its answer does not count as the first one."""
        watched: Any = connection.connection.driver_connection
        if not watched.is_shared:
            return
        *_, is_standby = connection.exec_driver_sql(_SETTINGS, (*self._limits, _NO_SESSION)).one()
        if is_standby:
            raise Unavailable(cause="this server is a standby")
        watched.watch.allow(self._lent.limit, self._lent.until)
        self._lent.until = None  # a second transaction of the same loan


def _check_options(url: URL) -> None:
    """Reject what libpq does not know: a typing error, or an argument of the driver that changes how it works."""
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    for name in sorted(url.query):
        if name not in known:
            similar = get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            raise UnusableUrl(f"the database URL has an unknown option {name!r}{hint}")


def _look_first(connection: WatchedConnection, _record: Any, _fairy: Any) -> None:
    """Have a connection replaced, and all others of that age, whose server has said farewell since it was lent last."""
    if connection.watch.used and is_disturbed(connection):
        raise InvalidatePoolError
    connection.watch.used = True
