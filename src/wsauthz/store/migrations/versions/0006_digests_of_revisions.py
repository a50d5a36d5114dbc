"""Digests, which tell a history from another one that has the same revisions: a hash is chained at each of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that the version before, beside this one, leaves as they are; its revisions have no digest."""
    op.add_column("revision", sa.Column("history", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("revision", sa.Column("history_value", sa.BigInteger(), nullable=False, server_default="0"))
    byte_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("changes", sa.Column("digest", byte_text, nullable=True))
