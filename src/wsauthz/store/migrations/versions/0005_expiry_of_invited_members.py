"""The expiry that an invitation gives the membership."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that may stay empty: a server of the version before, beside this one, leaves it so."""
    op.add_column("invitations", sa.Column("membership_expires_at", sa.DateTime(timezone=True), nullable=True))
