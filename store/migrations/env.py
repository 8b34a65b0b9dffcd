"""Alembic runs this file; the connection, with its transaction, comes from `store.migrate`."""

from alembic import context

from store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
