"""The tables as they are now; `migrations/` says how they came to be."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

VERSION_TABLE = "gatecast_version"
"""Alembic's own name for it is MLflow's, which may live in the same database."""

metadata = MetaData()

# Stamps (`ds`, `start`) are clocks: microseconds since 1970 on the stream's clock, or whole numbers
# where steps are only counted. Times of day (`opened`, `received` …) are milliseconds since 1970.

streams = Table(
    "streams",
    metadata,
    # SQLite numbers rows by itself only where the type is INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("task", Text, nullable=False),
    Column("unique_id", Text, nullable=False),
    Column("timeline", Text, nullable=False),
    Column("rewind", BigInteger, nullable=False),
    Column("max_gap", BigInteger),
    Column("ttl_hours", Double),
    Column("exact", Boolean, nullable=False),
    Column("stat", Text),
    Column("opened", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("late_seq", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("task", "unique_id", name="streams_task_unique_id"),
)

observations = Table(
    "observations",
    metadata,
    Column("stream", BigInteger, ForeignKey("streams.id", name="observations_stream")),
    Column("ds", BigInteger),
    Column("seq", BigInteger, nullable=False),
    Column("y", Double),
    Column("exog", Text),
    Column("received", BigInteger, nullable=False),
    PrimaryKeyConstraint("stream", "ds", name="observations_key"),
    sqlite_with_rowid=False,  # a stream's rows lie side by side: two thirds of the size, and faster
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("stream", BigInteger, ForeignKey("streams.id", name="checkpoints_stream")),
    Column("weights", Text),
    Column("ds", BigInteger),
    Column("seq", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("exact", Boolean, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("saved", BigInteger, nullable=False),
    PrimaryKeyConstraint("stream", "weights", "ds", name="checkpoints_key"),
)

# Who may change a task's aliases, and until when (milliseconds since 1970); `token` only grows.
task_locks = Table(
    "task_locks",
    metadata,
    Column("task", Text, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("task", Text, primary_key=True),
    Column("cron", Text),
    Column("timezone", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("query", Text),
    Column("options", Text, nullable=False),
    Column("missed", Text, nullable=False),
    Column("on_drift", Boolean, nullable=False),
    Column("cooldown", BigInteger, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("next_due", BigInteger),
    Column("changed", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)

retrain_runs = Table(
    "retrain_runs",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("task", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("query", Text),
    Column("options", Text, nullable=False),
    Column("asked", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("ready", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_until", BigInteger),
    Column("heartbeat", BigInteger),
    Column("stage", Text),
    Column("progress", Double, nullable=False),
    Column("log", Text, nullable=False),
    Column("outcome", Text),
    Column("error", Text),
    Column("started", BigInteger),
    Column("finished", BigInteger),
    UniqueConstraint("task", "trigger", "due", name="retrain_runs_once"),
)
# The database itself holds that no task has two runs at once.
_running = text("status = 'running'")
Index(
    "retrain_runs_one_running",
    retrain_runs.c.task,
    unique=True,
    sqlite_where=_running,
    postgresql_where=_running,
)

schedulers = Table(
    "schedulers",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("heartbeat", BigInteger, nullable=False),
)

# Live scores: sums over the forecasts whose truth arrived within the hour `bucket`. They are sums,
# and not means, so that replicas add up.
scores = Table(
    "scores",
    metadata,
    Column("task", Text),
    Column("version", Text),
    Column("lead", BigInteger),
    Column("bucket", BigInteger),
    Column("scored", BigInteger, nullable=False),
    Column("scaled_error", Double, nullable=False),
    Column("squared_error", Double, nullable=False),
    Column("quantile_loss", Double, nullable=False),
    Column("covered_80", Double),
    Column("covered_95", Double),
    PrimaryKeyConstraint("task", "version", "lead", "bucket", name="scores_key"),
)

drift = Table(
    "drift",
    metadata,
    Column("task", Text),
    Column("version", Text),
    Column("lead", BigInteger),
    Column("test", Text, nullable=False),
    Column("statistic", Double, nullable=False),
    Column("blocks", BigInteger, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("raised_at", BigInteger),
    PrimaryKeyConstraint("task", "version", "lead", name="drift_key"),
)
