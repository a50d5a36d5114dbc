"""A restore that a running server notices is in the audit, once, however many servers notice."""

from contextlib import ExitStack, closing

from tests import audited
from tests.audited import until
from tests.rpc.tenants import Tenants
from tests.serving import BUNDLES, Serving
from wsauthz.store import audit_verification, revisions, tables
from wsauthz.store.database import Database


def test_a_restore_is_recorded_once_with_what_was_lost(database_url: str) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(Serving(database_url, BUNDLES / "dam")) for _ in range(2)]
        for _ in range(3):
            Tenants(servers[0]).user()
        until(lambda: [server.server.replica.revision.value for server in servers] == [3, 3])
        with closing(Database(database_url)) as database:
            with database.read() as connection:
                before = revisions.current(connection)
            with database.write() as connection:
                connection.execute(tables.changes.delete().where(tables.changes.c.revision > 1))
                connection.execute(tables.revision.update().values(value=1, history_value=1))
            until(lambda: before.epoch not in {server.server.replica.revision.epoch for server in servers})
            (entry,) = audited.entries(database_url, target_kind="database")
            assert (entry.caller, entry.method, entry.revision) == ("server", "database/restored", None)
            assert entry.before == {"epoch": before.epoch, "revision": 3}
            assert entry.after == {"epoch": servers[0].server.replica.revision.epoch, "revision": 1}
            assert audit_verification.verify(database.read).problem == ""
