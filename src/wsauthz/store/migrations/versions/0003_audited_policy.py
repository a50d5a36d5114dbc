"""The policy that was audited last, so that a change of it is audited once."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table of its own; a server of the version before leaves it alone."""
    op.create_table(
        "audited_policy",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("version", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="audited_policy_pkey"),
        sa.CheckConstraint("id = 1", name="audited_policy_is_one_row"),
    )
