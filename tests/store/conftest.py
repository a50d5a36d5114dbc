from collections.abc import Iterator
from contextlib import closing

import pytest

from wsauthz.store.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a migrated database of the test's own; once SQLite, once PostgreSQL."""
    with closing(Database(database_url)) as opened:
        yield opened
