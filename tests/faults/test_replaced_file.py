"""The file of an SQLite database goes away or is another one under a running server: nothing more is acknowledged."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import grpc
import pytest
from sqlalchemy.engine import make_url

from tests.faults.load import OK, question, tell, workspace_of
from tests.serving import BUNDLES, READY_SECONDS, Client, ServerProcess
from wsauthz.v1 import users_pb2

CHECKPOINT_WRITES: Final = 400
"""Writes after which SQLite has copied pages from its log (1,000 pages) into the file."""
LONG_NAME: Final = "x" * 200


def delete(path: Path) -> None:
    """Delete the file."""
    path.unlink()


def move(path: Path) -> None:
    """Rename the file."""
    path.rename(path.with_name("moved.db"))


def replace(path: Path) -> None:
    """Put a copy in its place, as `mv` and rsync do."""
    shutil.copyfile(path, path.with_name("copy.db"))
    path.with_name("copy.db").rename(path)


def replace_with_all_its_files(path: Path) -> None:
    """Restore a folder as it was."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        replace(path.with_name(name))


def delete_the_log(path: Path) -> None:
    """Delete what has been committed and is not in the file yet."""
    path.with_name(f"{path.name}-wal").unlink()


def delete_the_index(path: Path) -> None:
    """Delete the index of the log."""
    path.with_name(f"{path.name}-shm").unlink()


def move_the_folder(path: Path) -> None:
    """Rename the folder, and make another one."""
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.mkdir()


def overwrite(path: Path) -> None:
    """Copy the backup over the file, as `cp` does: it stays the same file."""
    shutil.copyfile(path.with_name("backup.db"), path)


FAULTS: Final = [
    delete,
    move,
    replace,
    replace_with_all_its_files,
    delete_the_log,
    delete_the_index,
    move_the_folder,
    overwrite,
]


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """Return the path of a fresh database in a folder of its own, with a backup beside it."""
    folder = Path(str(make_url(sqlite_url).database)).with_name("data")
    folder.mkdir()
    there = Path(str(make_url(sqlite_url).database)).rename(folder / "wsauthz.db")
    shutil.copyfile(there, folder / "backup.db")
    return there


def write(client: Client, number: int) -> str:
    """Create a user and return the code."""
    return tell(client.users.UpsertUser, users_pb2.UpsertUserRequest(user_id=f"user{number}", name=LONG_NAME)).code


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_whose_file_is_gone_or_another_one_is_not_ready_and_says_why(
    path: Path, fault: Callable[[Path], None]
) -> None:
    with ServerProcess(f"sqlite:///{path}", BUNDLES / "dam", WSAUTHZ_STALE_SECONDS="3600") as process:
        client = process.client("ann")
        workspace = workspace_of(client)
        for number in range(CHECKPOINT_WRITES):
            assert write(client, number) == OK
        fault(path)
        assert write(client, CHECKPOINT_WRITES) == grpc.StatusCode.UNAVAILABLE.name
        wait_until(lambda: tell(client.authorization.Check, question(workspace, "ann")).code == "UNAVAILABLE")
        with pytest.raises(AssertionError, match="does not serve"):
            process.wait_ready(seconds=1)
        assert write(client, CHECKPOINT_WRITES) == grpc.StatusCode.UNAVAILABLE.name
        wait_until(lambda: "while it was in use: stop this server" in process.log.read_text())
        assert process.terminate() == 0
        if fault in {delete, move, move_the_folder}:
            assert not path.exists()


def test_a_file_that_comes_back_is_served_again_with_everything_acknowledged(path: Path) -> None:
    with ServerProcess(f"sqlite:///{path}", BUNDLES / "dam") as process:
        client = process.client("ann")
        workspace = workspace_of(client)
        move(path)
        wait_until(lambda: tell(client.authorization.Check, question(workspace, "ann")).code == "UNAVAILABLE")
        path.with_name("moved.db").rename(path)
        wait_until(lambda: tell(client.authorization.Check, question(workspace, "ann")).allowed)
        assert write(client, 1) == OK
        process.kill()
        with closing(sqlite3.connect(path)) as stored:
            assert stored.execute("SELECT name FROM users WHERE id = 'user1'").fetchone() == (LONG_NAME,)


def test_checkpoints_backups_and_other_processes_are_no_replacement(path: Path) -> None:
    with ServerProcess(f"sqlite:///{path}", BUNDLES / "dam") as process:
        client = process.client("ann")
        workspace = workspace_of(client)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for number in range(CHECKPOINT_WRITES):
                assert write(client, number) == OK
                if number % 40 == 0:
                    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if number % 100 == 50:
                    other.execute("VACUUM")
            with closing(sqlite3.connect(path.with_name("copy.db"))) as copy:
                other.backup(copy)
        assert tell(client.authorization.Check, question(workspace, "ann")).allowed
        assert "stop this server" not in process.log.read_text()
