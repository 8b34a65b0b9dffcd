"""Schedules of retraining, its runs, and the schedulers that are alive."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "schedules",
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("cron", sa.Text),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("query", sa.Text),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("missed", sa.Text, nullable=False),
        sa.Column("on_drift", sa.Boolean, nullable=False),
        sa.Column("cooldown", sa.BigInteger, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("next_due", sa.BigInteger),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
    )
    op.create_table(
        "retrain_runs",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.Identity(),
            primary_key=True,
        ),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("query", sa.Text),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("asked", sa.BigInteger, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ready", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("heartbeat", sa.BigInteger),
        sa.Column("stage", sa.Text),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("started", sa.BigInteger),
        sa.Column("finished", sa.BigInteger),
        sa.UniqueConstraint("task", "trigger", "due", name="retrain_runs_once"),
    )
    running = sa.text("status = 'running'")
    op.create_index(
        "retrain_runs_one_running",
        "retrain_runs",
        ["task"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "schedulers",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("heartbeat", sa.BigInteger, nullable=False),
    )
