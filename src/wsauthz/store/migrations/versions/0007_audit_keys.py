"""Which key each audit entry is signed with, and which keys were used, in the order of their first use."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns with defaults: servers of the version before sign with the key in the database, whose id is empty."""
    op.add_column("audit_entries", sa.Column("key_id", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("revision", sa.Column("audit_keys", sa.Text(), nullable=False, server_default=sa.text("''")))
