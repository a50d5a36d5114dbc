"""The order of what the application says of a user: the latest source_version, kept beyond the user's row."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table of its own: a server of the version before, beside this one, leaves it alone."""
    op.create_table(
        "user_versions",
        sa.Column("user_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("source_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="user_versions_pkey"),
    )
