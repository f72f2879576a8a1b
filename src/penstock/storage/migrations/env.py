"""What Alembic runs; the connection comes from `upgrade`."""

from alembic import context

from penstock.storage.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
