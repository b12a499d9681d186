"""Runs the migrations on the connection that `Catalogue.migrate` hands in."""

from alembic import context

from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine.columns import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
TABLES = AUDITED  # to import it fills the one metadata

with context.begin_transaction():
    context.run_migrations()
