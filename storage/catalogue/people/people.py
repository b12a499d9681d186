"""Stations, persons, sources and accounts. Password hashes are made above; no plain one comes here.

Each change is an entry in the log, with the row's whole state. Who is logged in: `sessions.py`.
"""

from collections.abc import Collection

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from policies.identifiers import PersonId, StationId, Subject
from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.engine.rows import load_row
from storage.catalogue.people import sessions
from storage.catalogue.tables import AccountRow, PersonRow, SourceRow, StationRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError

_CHANGE = PremisType.METADATA_MODIFICATION


def add_station(
    uow: UnitOfWork,
    *,
    id: StationId,  # noqa: A002 - the column's name
    name: str,
    township: str,
    actor: str,
) -> StationRow:
    """Enrol a station. Raises: ConflictError when the id is taken."""
    if uow.session.get(StationRow, id) is not None:
        raise ConflictError(problem="station exists", id=id)
    row = StationRow(id=id, name=name, township=township)
    uow.session.add(row)
    uow.record("station.add", _CHANGE, row, actor=actor, subject=Subject.of_station(id))
    return row


def get_station(session: Session, station_id: StationId) -> StationRow:
    """Return one station. Raises: NotFoundError."""
    return load_row(session, StationRow, station_id)


def list_stations(session: Session) -> list[StationRow]:
    """Return every station, by id."""
    return list(session.scalars(select(StationRow).order_by(StationRow.id)))


def add_person(
    uow: UnitOfWork,
    *,
    name: str,
    kind: str,
    unit: str,
    township: str,
    actor: str,
    certificate_no: str | None = None,
    full_time: bool | None = None,
) -> PersonRow:
    """Add somebody who acts; `certificate_no` is the number that recorders show.

    Whether he is certified is the register's business (`register.certify`).
    Raises: ConflictError when the number is another person's.
    """
    _free_certificate(uow.session, certificate_no)
    row = PersonRow(
        id=uow.new_id(),
        name=name,
        certificate_no=certificate_no,
        kind=str(kind),
        unit=unit,
        township=township,
        full_time=full_time,
    )
    uow.session.add(row)
    uow.record("person.add", _CHANGE, row, actor=actor, subject=Subject.of_person(row.id))
    return row


def get_person(session: Session, person_id: PersonId) -> PersonRow:
    """Return one person. Raises: NotFoundError."""
    return load_row(session, PersonRow, person_id)


def list_persons(
    session: Session,
    *,
    township: str | None = None,
    kinds: Collection[str] | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[PersonRow]:
    """Return persons, by name (and id); of these kinds alone, if any are given."""
    query = select(PersonRow)
    if township is not None:
        query = query.where(PersonRow.township == township)
    if kinds is not None:
        query = query.where(PersonRow.kind.in_(kinds))
    keys = (PersonRow.name, PersonRow.id)
    return list(session.scalars(page_by_keys(query, keys, after, limit)))


def persons_for(session: Session, township: str, county: str) -> list[PersonRow]:
    """Return who may handle, review or decide in a township, by name.

    They are its own people, but for operators and administrators, and those of the kind `county`.
    """
    row = PersonRow
    own = and_(row.township == township, row.kind.not_in(("operator", "admin")))
    query = select(row).where(or_(own, row.kind == county))
    return list(session.scalars(query.order_by(row.name, row.id)))


def find_names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """Return the names of these persons, by id; those that nobody has are left out."""
    query = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(ids))
    return {row.id: row.name for row in session.execute(query)}


def list_townships(session: Session) -> list[str]:
    """Return every township that somebody works in, by name."""
    return sorted(session.scalars(select(PersonRow.township).distinct()))


def officer_by_certificate(session: Session, certificate_no: str) -> PersonRow | None:
    """Return whose certificate (or officer number on a recorder) this is."""
    return session.scalar(select(PersonRow).where(PersonRow.certificate_no == certificate_no))


def add_source(
    uow: UnitOfWork,
    *,
    serial: str,
    kind: str,
    family: str,
    label: str,
    township: str,
    actor: str,
) -> SourceRow:
    """Register a recorder, terminal or room camera. Raises: ConflictError."""
    if find_source(uow.session, serial) is not None:
        raise ConflictError(problem="source exists", serial=serial)
    row = SourceRow(
        serial=serial,
        id=uow.new_id(),
        kind=str(kind),
        family=family,
        label=label,
        township=township,
    )
    uow.session.add(row)
    uow.record("source.add", _CHANGE, row, actor=actor, subject=Subject.of_source(row.id))
    return row


def find_source(session: Session, serial: str) -> SourceRow | None:
    """Return a source by its serial; None when nobody registered it."""
    return session.get(SourceRow, serial)


def list_sources(
    session: Session,
    *,
    township: str | None = None,
    after: Place = (),
    limit: int | None = None,
) -> list[SourceRow]:
    """Return sources, by label (and serial)."""
    query = select(SourceRow)
    if township is not None:
        query = query.where(SourceRow.township == township)
    keys = (SourceRow.label, SourceRow.serial)
    return list(session.scalars(page_by_keys(query, keys, after, limit)))


def create_account(
    uow: UnitOfWork,
    *,
    username: str,
    password_hash: str,
    role: str,
    person_id: PersonId,
    actor: str,
) -> AccountRow:
    """Make a login for a person. Raises: ConflictError when the name is taken, NotFoundError."""
    if account_by_username(uow.session, username) is not None:
        raise ConflictError(problem="username is taken", username=username)
    get_person(uow.session, person_id)
    row = AccountRow(
        id=uow.new_id(),
        username=username,
        password_hash=password_hash,
        role=str(role),
        person_id=person_id,
        disabled=False,
    )
    uow.session.add(row)
    uow.record("account.add", _CHANGE, row, actor=actor, subject=Subject.of_account(row.id))
    return row


def set_password(uow: UnitOfWork, account_id: str, password_hash: str, *, actor: str) -> AccountRow:
    """Replace a password hash; every open login of the account ends. Raises: NotFoundError."""
    row = get_account(uow.session, account_id)
    row.password_hash = password_hash
    sessions.end_of_account(uow, account_id, sessions.End.PASSWORD_CHANGED, actor=actor)
    uow.record("account.password", _CHANGE, row, actor=actor, subject=Subject.of_account(row.id))
    return row


def set_disabled(uow: UnitOfWork, account_id: str, *, disabled: bool, actor: str) -> AccountRow:
    """Close or reopen an account; closing ends its open logins. Raises: NotFoundError."""
    row = get_account(uow.session, account_id)
    row.disabled = disabled
    if disabled:
        sessions.end_of_account(uow, account_id, sessions.End.DISABLED, actor=actor)
    uow.record("account.disabled", _CHANGE, row, actor=actor, subject=Subject.of_account(row.id))
    return row


def get_account(session: Session, account_id: str) -> AccountRow:
    """Return one account. Raises: NotFoundError."""
    return load_row(session, AccountRow, account_id)


def account_by_username(session: Session, username: str) -> AccountRow | None:
    """Return the account of this name, if there is one."""
    return session.scalar(select(AccountRow).where(AccountRow.username == username))


def list_accounts(session: Session) -> list[AccountRow]:
    """Return every account, by name."""
    return list(session.scalars(select(AccountRow).order_by(AccountRow.username)))


def _free_certificate(session: Session, certificate_no: str | None) -> None:
    if certificate_no is None:
        return
    holder = officer_by_certificate(session, certificate_no)
    if holder is not None:
        raise ConflictError(problem="certificate is another person's", person=holder.id)
