"""Sessions: logins of persons, from their opening to their end, each of which is an entry.

Rows say which tokens are open now. They are no evidence, and are believed only where the log says
the same: a row that nobody opened lets nobody in, and is an entry itself (`end`).
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM, Subject
from storage.catalogue.engine.rows import load_row
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.tables import AccountRow, SessionRow
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.acting import PersonActing, session_id
from storage.custody.entries.event import Outcome, PremisType, format_timestamp
from storage.errors import ConflictError

OPEN = "session.open"
CLOSE = "session.close"
USE = "session.use"  # refused: of a row that no entry opened


class End(StrEnum):
    """Why a session ended."""

    LOGOUT = "logout"
    EXPIRED = "expired"
    DISABLED = "disabled"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a reason, not a password


def open_session(
    uow: UnitOfWork,
    *,
    token_hash: str,
    account_id: str,
    expires_at: datetime,
    address: str,
    agent: str = "",
) -> SessionRow:
    """Open a login; the token itself never comes here.

    Raises: NotFoundError, ConflictError when the account is disabled.
    """
    account = load_row(uow.session, AccountRow, account_id)
    if account.disabled:
        raise ConflictError(problem="account is disabled", account=account_id)
    end_expired(uow)
    row = SessionRow(
        token_hash=token_hash, account_id=account_id, created_at=uow.at, expires_at=expires_at
    )
    uow.session.add(row)
    name = session_id(token_hash)
    uow.record(
        OPEN,
        PremisType.VALIDATION,
        actor=PersonActing(Subject.of_person(account.person_id), name, address, until=expires_at),
        subject=Subject.of_account(account.id),
        chains=[Subject.of_session(name)],
        agent=agent,
        expires=format_timestamp(expires_at),
    )
    return row


def find_session(session: Session, token_hash: str) -> tuple[SessionRow, AccountRow] | None:
    """Return the row of a token and its account, ended or not, believed or not."""
    query = (
        select(SessionRow, AccountRow)
        .join(AccountRow, SessionRow.account_id == AccountRow.id)
        .where(SessionRow.token_hash == token_hash)
    )
    pair = session.execute(query).one_or_none()
    return None if pair is None else (pair[0], pair[1])


def is_logged(session: Session, row: SessionRow, account: AccountRow) -> bool:
    """Tell whether the log opened this session, for this person and until then, and not ended it.

    Its chain has one entry then: the opening.
    """
    name = Subject.of_session(session_id(row.token_hash))
    log = LogReader(session)
    (indexes,) = log.chain_entries([name]).values()
    if len(indexes) != 1:
        return False
    expected = (
        OPEN,
        Outcome.SUCCESS,
        Subject.of_person(account.person_id),
        Subject.of_account(account.id),
    )
    return any(
        (entry["act"], entry["outcome"], entry["actor"], entry["subject"]) == expected
        and name in entry.get("chains", ())
        and details.get("expires") == format_timestamp(row.expires_at)
        for entry, details in log.open_entries(indexes)
    )


def end_session(uow: UnitOfWork, token_hash: str, why: End, *, actor: str = SYSTEM) -> None:
    """End one session; ending it twice is no error, and no second entry.

    One that no entry opened is not closed but refused: its row goes, and the entry says so.
    """
    pair = find_session(uow.session, token_hash)
    if pair is None:
        return
    row, account = pair
    name = session_id(token_hash)
    logged = is_logged(uow.session, row, account)
    uow.session.delete(row)
    if logged:
        uow.record(
            CLOSE,
            PremisType.VALIDATION,
            actor=actor,
            subject=Subject.of_account(account.id),
            chains=[Subject.of_session(name)],
            ended=name,
            why=why.value,
        )
    else:
        uow.record(
            USE,
            PremisType.VALIDATION,
            actor=SYSTEM,
            subject=Subject.of_account(account.id),
            outcome=Outcome.REFUSED,
            session=name,
            reason="not-opened",
        )


def end_of_account(uow: UnitOfWork, account_id: str, why: End, *, actor: str) -> None:
    """End every session of an account."""
    of_account = select(SessionRow.token_hash).where(SessionRow.account_id == account_id)
    for token_hash in uow.session.scalars(of_account.order_by(SessionRow.token_hash)).all():
        end_session(uow, token_hash, why, actor=actor)


def any_expired(session: Session, at: datetime) -> bool:
    """Tell whether there is any session to end."""
    return (
        session.scalar(select(SessionRow).where(SessionRow.expires_at <= at).limit(1)) is not None
    )


def end_expired(uow: UnitOfWork) -> int:
    """End what has expired; return how many."""
    over = select(SessionRow.token_hash).where(SessionRow.expires_at <= uow.at)
    names = uow.session.scalars(over.order_by(SessionRow.token_hash)).all()
    for token_hash in names:
        end_session(uow, token_hash, End.EXPIRED)
    return len(names)
