"""Memberships of organizations that follow memberships of workspaces are told from those that somebody set.

Rows that are there already count as set. The version before runs on beside this one: what it writes counts as set, too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("memberships", sa.Column("is_derived", sa.Boolean(), nullable=False, server_default=sa.false()))
