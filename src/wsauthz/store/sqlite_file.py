"""Detection of an SQLite file that was deleted, replaced or overwritten while it is in use.

SQLite goes on working with a file that no longer has a name, and what is written there is lost when the process ends.
An existing file must never be opened here: closing it would release the locks that SQLite holds in this process.
"""

import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from wsauthz.model.errors import Unavailable
from wsauthz.store.causes import cause_of

_Identity = tuple[int, int]
_History = tuple[str, int]
_BESIDE: Final = ("-wal", "-shm")
"""The log of what was committed and is not in the file yet, and its index."""


class FileReplaced(Unavailable):
    """Another file is now where the database was; this process must not go on with either of them."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            cause=f"{path} {problem} while it was in use: stop this server, put the right file in place with its -wal "
            "file or without one, and start again"
        )


class SqliteFile:
    """The file of a database and those beside it, as they were when they were opened; used from any thread."""

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is opened."""
        self._path: Final = path.absolute()
        self._lock = threading.Lock()
        self._opened: _Identity | None = None
        self._beside: dict[Path, _Identity | None] = {}
        self._connections = 0
        self._modified = (0, 0)
        """Time and size of the file when its history was read."""
        self._history: _History | None = None
        """Of the file itself, without the log."""

    def connecting(self) -> None:
        """Note which file is about to be opened, the first time; make it then, if it is missing.

        Raises:
            FileReplaced: it is not the one that was opened the first time.

        """
        with self._lock:
            if self._opened is None:
                _make_private(self._path)
                self._opened = _identity(self._path)
            if self._opened is not None:
                self._check_file()

    def connected(self) -> None:
        """Count a connection, which has just been opened.

        Raises:
            FileReplaced: another file may have been opened.

        """
        with self._lock:
            self._check_file()
            if self._connections == 0:  # the last one to close deletes the files beside it
                self._beside = {self._path.with_name(self._path.name + suffix): None for suffix in _BESIDE}
            self._connections += 1
            self._check_beside()

    def closed(self) -> None:
        """Count a connection less."""
        with self._lock:
            self._connections -= 1

    def check(self, connection: sqlite3.Connection) -> None:
        """Return if the files are those that were opened, and only SQLite has written to them.

        Raises:
            FileReplaced: they are not.

        """
        with self._lock:
            self._check_file()
            self._check_beside()
            self._check_history(connection)

    def _check_file(self) -> None:
        found = _identity(self._path)
        if found is None:
            raise FileReplaced(self._path, "was deleted or moved")
        if found != self._opened:
            raise FileReplaced(self._path, "was replaced by another file")

    def _check_beside(self) -> None:
        for path, opened in self._beside.items():
            found = _identity(path)
            if opened is None:
                self._beside[path] = found
            elif found != opened:
                raise FileReplaced(path, "was deleted or replaced")

    def _check_history(self, connection: sqlite3.Connection) -> None:
        """Compare the file itself, if it has changed, with what it held before: SQLite only ever brings it forward.

        After a restore through SQLite it goes back as well, but then connections see the restored state, and so does
        the replica. Behind a file that was overwritten they see what is in the log, and pages of two states.
        """
        with suppress(FileNotFoundError):
            now = self._path.stat()
            modified = now.st_mtime_ns, now.st_size
            if modified == self._modified:
                return
            before, found = self._history, self._history_in_file()
            if found is None:
                return  # it is being written; the next check reads it
            if before is not None and not _continues(found, before):
                seen = _history(connection)
                if seen is None or _continues(seen, before):
                    raise FileReplaced(self._path, "was overwritten")
            self._modified, self._history = modified, found

    def _history_in_file(self) -> _History | None:
        """Return what is in the file without its log.

        SQLite opens it, because it knows about the locks of this process; ``immutable`` leaves the log out.
        """
        url = f"file:{quote(str(self._path))}?mode=ro&immutable=1"
        with suppress(sqlite3.Error), closing(sqlite3.connect(url, uri=True, isolation_level=None)) as alone:
            return _history(alone)
        return None


def _make_private(path: Path) -> None:
    """Make a new file readable by its owner only, because it holds secrets; SQLite's other files follow it.

    Raises:
        Unavailable: it cannot be made, or an existing one cannot be used; SQLite says no more than "unable to open".

    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise Unavailable(cause=f"{path} is a directory: name a file in it") from None
        if not os.access(path, os.R_OK | os.W_OK):
            raise Unavailable(cause=f"{path}: this user may not read and write it") from None
    except OSError as error:
        raise Unavailable(cause=cause_of(error)) from None


def _identity(path: Path) -> _Identity | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _history(connection: sqlite3.Connection) -> _History | None:
    """Return epoch and revision that a connection sees; None: nothing that can be read."""
    with suppress(sqlite3.Error):
        found: _History | None = connection.execute("SELECT epoch, value FROM revision").fetchone()
        return found
    return None


def _continues(found: _History, before: _History) -> bool:
    return found[0] == before[0] and found[1] >= before[1]
