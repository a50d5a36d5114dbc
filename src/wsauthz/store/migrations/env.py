"""What Alembic runs for each command: the revisions, on the connection and in the transaction that it is given."""

from alembic import context

from wsauthz.store.schema import VERSION_TABLE
from wsauthz.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
