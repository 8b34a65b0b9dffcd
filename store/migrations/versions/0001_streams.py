"""Streams, their observations, and checkpoints of their states."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "streams",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.Identity(),
            primary_key=True,
        ),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("unique_id", sa.Text, nullable=False),
        sa.Column("timeline", sa.Text, nullable=False),
        sa.Column("rewind", sa.BigInteger, nullable=False),
        sa.Column("max_gap", sa.BigInteger),
        sa.Column("ttl_hours", sa.Double),
        sa.Column("exact", sa.Boolean, nullable=False),
        sa.Column("stat", sa.Text),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.BigInteger),
        sa.Column("late_seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.UniqueConstraint("task", "unique_id", name="streams_task_unique_id"),
    )
    op.create_table(
        "observations",
        sa.Column("stream", sa.BigInteger, sa.ForeignKey("streams.id", name="observations_stream")),
        sa.Column("ds", sa.BigInteger),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("y", sa.Double),
        sa.Column("exog", sa.Text),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("stream", "ds", name="observations_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoints",
        sa.Column("stream", sa.BigInteger, sa.ForeignKey("streams.id", name="checkpoints_stream")),
        sa.Column("weights", sa.Text),
        sa.Column("ds", sa.BigInteger),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("exact", sa.Boolean, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("saved", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("stream", "weights", "ds", name="checkpoints_key"),
    )
