"""Alembic's entry point: runs the migrations inside the transaction that `Database.migrate` opened."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
# No `begin_transaction` here: the caller commits, so all migrations apply or none.
context.run_migrations()
