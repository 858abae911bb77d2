"""Runs the migrations inside the transaction that `Database.migrate` opened."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
# No `begin_transaction` here: the caller commits, and with it everything or nothing is migrated.
context.run_migrations()
