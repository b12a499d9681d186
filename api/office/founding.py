"""Founds an office: its keys, its tables, the log's first head, its station. Nothing else does.

A founding that was cut short anywhere is gone on with; nothing is ever overwritten.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from api.office.settings.office_record import FOUNDING_SETTINGS, RECORD, office_record, read_record
from api.office.settings.settings import Settings
from api.office.stores.store_opening import look_at_home, make_bucket, open_catalogue
from api.office.system import clock, entropy
from api.office.wiring import Office, refuse_moved
from api.problems import ApiError
from policies.identifiers import SYSTEM, StationId
from policies.rules.rulebook_template import is_area_name
from storage.catalogue.people import people
from storage.custody.origin import is_new_origin
from storage.errors import FoundingUnaskedError, NotFoundError, OfficeExistsError
from storage.vault.keys import KeyRing

Ask = Callable[[Settings], Settings]


def refuse_unasked(settings: Settings) -> Settings:
    """Require every setting that founding needs; return the settings.

    Raises: FoundingUnaskedError.
    """
    if unset_names := [name for name in FOUNDING_SETTINGS if not getattr(settings, name)]:
        names = "、".join(f"LIUHEN_{name.upper()}" for name in unset_names)
        raise FoundingUnaskedError(settings=names)
    return settings


def with_record(settings: Settings) -> Settings:
    """Fill empty settings from the office record."""
    record = read_record(settings.keys)
    update = {name: text for name, text in record.items() if not getattr(settings, name)}
    return settings.model_copy(update=update)


def found_office(
    settings: Settings, recovery_out: Path | None = None, ask: Ask = refuse_unasked
) -> Office:
    """Make a new office: keys, tables, the log's empty head, its station.

    `ask` completes the settings with county, township and log origin, or refuses. A founding that
    was cut short is gone on with. Nothing is ever overwritten, and nothing made beside parts of an
    office.
    Raises: OfficeExistsError, OfficePartsError, StationHomeError, MovedError, KeyRingError,
    FoundingUnaskedError, ApiError (area-name, origin-name).
    """
    refuse_moved(settings.home)
    catalogue = open_catalogue(settings)
    try:
        parts = look_at_home(settings, catalogue, ask_store=True)
    finally:
        catalogue.close()
    # Parts of a lost office are never built upon: new keys could not open its footage.
    parts.require_room()
    recovery = recovery_out or settings.recovery_out
    # A founding that was cut short goes on with the keys that it made.
    has_keys = parts.keys or KeyRing.finish_creation(settings.keys, recovery)
    # County and origin were fixed with the keys; a retry must not ask or change them.
    settings = with_record(settings) if has_keys else ask(settings)
    if not has_keys:
        _check_asked(settings)
    make_bucket(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    if not has_keys:
        KeyRing.create(
            settings.keys,
            station=settings.station,
            origin=settings.log_origin,
            recovery_out=recovery,
            entropy=entropy,
            documents={RECORD: office_record(settings.county, settings.township)},
        )
    with ExitStack() as undo:
        office = Office.open_empty(settings)
        undo.callback(office.close)
        if not office.signer.has_begun:
            office.signer.begin_log(clock())
        office.log_rules()
        _add_own_station(office)
        undo.pop_all()
    return office


def found_or_open(
    settings: Settings, recovery_out: Path | None = None, ask: Ask = refuse_unasked
) -> Office:
    """Found the office, or open the one that is there, with a station of the settings' name.

    Raises: as `found` and `Office.open`.
    """
    try:
        return found_office(settings, recovery_out, ask)
    except OfficeExistsError:
        with ExitStack() as undo:
            office = Office.open(settings)
            undo.callback(office.close)
            _add_own_station(office)
            undo.pop_all()
        return office


def _check_asked(settings: Settings) -> None:
    """Refuse a county, township or origin that no new office may have. Raises: ApiError."""
    for name in (settings.county, settings.township):
        if not is_area_name(name):
            raise ApiError("area-name", name=name[:80])
    if not is_new_origin(settings.log_origin):
        raise ApiError("origin-name", origin=settings.log_origin[:80])


def _add_own_station(office: Office) -> None:
    settings = office.settings
    with office.catalogue.write() as uow:
        try:
            people.get_station(uow.session, StationId(settings.station))
        except NotFoundError:
            people.add_station(
                uow,
                id=StationId(settings.station),
                name=settings.station_name,
                township=settings.township,
                actor=SYSTEM,
            )
