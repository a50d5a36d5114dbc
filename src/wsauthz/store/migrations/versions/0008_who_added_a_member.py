"""The user who added a member: nobody is kept where somebody else put them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that may stay empty: a server of the version before, beside this one, leaves it so."""
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("memberships", sa.Column("added_by", kind, nullable=True))
