"""A membership ends by the database's clock: whatever the machine's clock says, and however slow the database is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.faults.load import question, tell, workspace_of
from tests.faults.proxy import Proxy
from tests.faults.site import target_of, through
from tests.postgres import connect
from tests.rpc.streams import wait_for
from tests.serving import BUNDLES, ServerProcess, Serving
from wsauthz.v1 import memberships_pb2

HOUR: Final = 3600
_MOVED: Final = Path(__file__).parent / "moved_clock"


class Clock:
    """The clock of a machine, moved by so many seconds."""

    def __init__(self, file: Path, seconds: float) -> None:
        self._file = file
        self.move(seconds)

    def move(self, seconds: float) -> None:
        """Move it, in one step."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a server follow it."""
        return {"PYTHONPATH": str(_MOVED), "WSAUTHZ_TEST_CLOCK": str(self._file)}


@contextmanager
def temporary(server: ServerProcess | Serving, url: str, seconds: float) -> Iterator["Membership"]:
    """Add somebody for a while; give the membership, which the server knows of."""
    ann = server.client("ann")
    with connect(url, autocommit=True) as connection:
        member = Membership(server, connection, workspace_of(ann))
        ann.mirror("bob")
        expires_at = Timestamp()
        expires_at.FromDatetime(member.database_time() + timedelta(seconds=seconds))
        request = memberships_pb2.AddMemberRequest(
            workspace_id=member.workspace, user_id="bob", role="member", expires_at=expires_at
        )
        added = ann.memberships.AddMember(request)
        member.expires_at = added.membership.expires_at.ToDatetime()
        assert tell(server.client().authorization.Check, question(member.workspace, "bob", added.revision)).allowed
        yield member


class Membership:
    """A membership of the workspace that ends."""

    def __init__(self, server: ServerProcess | Serving, connection: Any, workspace: str) -> None:
        self._client = server.client()
        self._connection = connection
        self.workspace = workspace
        self.expires_at: Any = None

    def database_time(self) -> Any:
        """Return the time of the database."""
        (now,) = self._connection.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'").fetchone()
        return now

    def is_late(self) -> bool:
        """Tell whether it has expired by now.

        Raises:
            AssertionError: and it still counts.

        """
        has_expired = bool(self.database_time() >= self.expires_at)
        told = tell(self._client.authorization.Check, question(self.workspace, "bob"))
        assert told.code == "OK"
        assert not (told.allowed and has_expired), "allowed after its expiry"
        return has_expired


@pytest.mark.parametrize("moved", [-HOUR, HOUR])
def test_the_clock_of_the_machine_does_not_matter(postgresql_url: str, tmp_path: Path, moved: int) -> None:
    clock = Clock(tmp_path / "clock", moved)
    with (
        ServerProcess(postgresql_url, BUNDLES / "dam", **clock.environment) as server,
        temporary(server, postgresql_url, 5) as member,
    ):
        wait_for(member.is_late)


def test_setting_the_clock_back_while_the_database_is_silent_prolongs_nothing(
    postgresql_url: str, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "clock", 0)
    with (
        Proxy(target_of(postgresql_url)) as proxy,
        ServerProcess(through(proxy, postgresql_url), BUNDLES / "dam", **clock.environment) as server,
        temporary(server, postgresql_url, 5) as member,
    ):
        proxy.mode = "hold"
        clock.move(-HOUR)
        wait_for(member.is_late)


def test_a_slow_database_prolongs_nothing(postgresql_url: str) -> None:
    with (
        Proxy(target_of(postgresql_url)) as proxy,
        Serving(through(proxy, postgresql_url), BUNDLES / "dam") as server,
        temporary(server, postgresql_url, 5) as member,
    ):
        replica = server.server.replica
        proxy.delay_seconds = 0.2
        proxy.mode = "delay"
        polled_at = replica.seen_at
        wait_for(lambda: replica.seen_at > polled_at + 1)  # polls that were slow from beginning to end
        told = member.database_time().replace(tzinfo=UTC).timestamp()
        assert replica.now() >= told
        wait_for(member.is_late)
