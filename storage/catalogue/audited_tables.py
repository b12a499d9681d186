"""Every table whose rows stand in the custody log; importing this fills the one metadata."""

from typing import Any

from storage.catalogue import tables
from storage.catalogue.cases import tables as way_tables
from storage.catalogue.engine.columns import Audited, Base
from storage.catalogue.jobs import tables as job_tables
from storage.catalogue.log import tables as log_tables
from storage.catalogue.oversight import tables as duty_tables
from storage.catalogue.people import tables as register_tables
from storage.catalogue.retention import tables as keeping_tables
from storage.catalogue.stations import tables as station_tables

_MODULES = (
    duty_tables,
    log_tables,
    tables,
    way_tables,
    register_tables,
    station_tables,
    job_tables,
    keeping_tables,
)

AUDITED: tuple[type[Any], ...] = tuple(
    table
    for module in _MODULES
    for table in vars(module).values()
    if isinstance(table, type)
    and issubclass(table, Audited)
    and issubclass(table, Base)
    and table.__module__ == module.__name__
)
