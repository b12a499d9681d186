"""Runs the migrations on the connection that `Catalogue.migrate` hands in."""

from alembic import context

from storage.catalogue import log_tables, tables
from storage.catalogue.columns import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
TABLES = (log_tables, tables)  # both modules fill the one metadata

with context.begin_transaction():
    context.run_migrations()
