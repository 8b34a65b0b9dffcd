"""Live scores of versions, and the test for drift on them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "scores",
        sa.Column("task", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("lead", sa.BigInteger),
        sa.Column("bucket", sa.BigInteger),
        sa.Column("scored", sa.BigInteger, nullable=False),
        sa.Column("scaled_error", sa.Double, nullable=False),
        sa.Column("squared_error", sa.Double, nullable=False),
        sa.Column("quantile_loss", sa.Double, nullable=False),
        sa.Column("covered_80", sa.Double),
        sa.Column("covered_95", sa.Double),
        sa.PrimaryKeyConstraint("task", "version", "lead", "bucket", name="scores_key"),
    )
    op.create_table(
        "drift",
        sa.Column("task", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("lead", sa.BigInteger),
        sa.Column("test", sa.Text, nullable=False),
        sa.Column("statistic", sa.Double, nullable=False),
        sa.Column("blocks", sa.BigInteger, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("raised_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("task", "version", "lead", name="drift_key"),
    )
