"""Run by Alembic, inside the unit of work that `phonoloop.adapters.sql_migrate` has begun."""

from alembic import context

from phonoloop.adapters.sql_schema import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema(),
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
