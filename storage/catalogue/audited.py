"""Every table whose rows stand in the custody log; importing this fills the one metadata."""

from typing import Any

from storage.catalogue import (
    duty_tables,
    job_tables,
    keeping_tables,
    log_tables,
    register_tables,
    station_tables,
    tables,
    way_tables,
)
from storage.catalogue.columns import Audited, Base

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
    found
    for module in _MODULES
    for found in vars(module).values()
    if isinstance(found, type)
    and issubclass(found, Audited)
    and issubclass(found, Base)
    and found.__module__ == module.__name__
)
