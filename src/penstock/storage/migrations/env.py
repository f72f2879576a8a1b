"""What Alembic runs; the connection comes from `upgrade`."""

from typing import Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from penstock.storage.columns import metadata


def render_plain(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Our column types by the database's own names: a released migration must not change when one of ours does."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all of it
    render_item=render_plain,
)
context.run_migrations()
