"""What somebody does with sessions who has the database, or who forges what a browser sends."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from storage.custody.acting import PersonActing, session_subject
from storage.custody.event import PremisType
from tests.office import PASSWORD, Desk

TOKEN = "a-token-of-the-attackers-own-making"
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()
_ROW = (
    "INSERT INTO session (token_hash, account_id, created_at, expires_at)"
    " SELECT :hash, id, :at, :until FROM account WHERE username = 'shen'"
)


def sql(desk: Desk, statement: str, **values: object) -> None:
    """Do one thing behind everybody's back."""
    with desk.office.catalogue._writer.begin() as connection:
        assert connection.execute(text(statement), values).rowcount == 1


def _own_session(desk: Desk) -> str:
    """Log in as an officer, who may not see what a reviewer may; return the token."""
    return desk.service.identity.login("wang", PASSWORD)[0]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _time(desk: Desk, hours: float) -> str:
    return f"{desk.office.clock() + timedelta(hours=hours):%Y-%m-%d %H:%M:%S.%f}+00:00"


def _insert(desk: Desk) -> str:
    sql(desk, _ROW, hash=HASH, at=_time(desk, 0), until=_time(desk, 9))
    return TOKEN


def _insert_with_chain(desk: Desk) -> str:
    """Put the index of the log there, too, leading to the opening of a true session."""
    true = desk.visitor("shen").actor.session
    _insert(desk)
    place = (
        'INSERT INTO log_chain_entry (subject, number, "index")'
        ' SELECT :name, 0, "index" FROM log_chain_entry WHERE subject = :true AND number = 0'
    )
    sql(desk, place, name=session_subject(HASH[:32]), true=session_subject(true or ""))
    return TOKEN


def _another_account(desk: Desk) -> str:
    token = _own_session(desk)
    other = "UPDATE session SET account_id = (SELECT id FROM account WHERE username = 'shen')"
    sql(desk, f"{other} WHERE token_hash = :hash", hash=_hash(token))
    return token


def _longer(desk: Desk) -> str:
    token = _own_session(desk)
    longer = "UPDATE session SET expires_at = :until WHERE token_hash = :hash"
    sql(desk, longer, hash=_hash(token), until=_time(desk, 900))
    return token


def _back_after_logout(desk: Desk) -> str:
    token, until = desk.service.identity.login("shen", PASSWORD)
    desk.service.identity.logout(token)
    at = f"{until:%Y-%m-%d %H:%M:%S.%f}+00:00"
    sql(desk, _ROW, hash=_hash(token), at=_time(desk, 0), until=at)
    return token


@dataclass(frozen=True, slots=True)
class RowAttack:
    """A row of a session that the log did not open so; `forge` returns the token to come with."""

    act: str
    forge: Callable[[Desk], str]


ROWS = (
    RowAttack("inserted", _insert),
    RowAttack("inserted, with the index of another's opening", _insert_with_chain),
    RowAttack("turned to another account", _another_account),
    RowAttack("made to last longer", _longer),
    RowAttack("put back after its logout", _back_after_logout),
)


@dataclass(frozen=True, slots=True)
class ActAttack:
    """An entry in a person's name from outside the faces; `why` is how the audit names it."""

    act: str
    why: str
    actor: Callable[[Desk], str]
    hours_later: float = 0


def _plain(desk: Desk) -> str:
    return f"person:{desk.persons['shen']}"


def _in(session: str | None, desk: Desk, *, asked: float | None = 0) -> PersonActing:
    """Return the reviewer in a session of the attacker's choice, as a job would act for him."""
    asked_at = None if asked is None else desk.office.clock() + timedelta(hours=asked)
    return PersonActing(_plain(desk), session, "192.0.2.9", asked_at=asked_at)


def _ended(desk: Desk) -> PersonActing:
    token, _until = desk.service.identity.login("shen", PASSWORD)
    session = desk.service.identity.visitor(token).actor.session
    desk.service.identity.logout(token)
    return _in(session, desk)


ACTS = (
    ActAttack("in no session", "it names no session", _plain),
    ActAttack("asked for today, in none", "it names no session", lambda desk: _in(None, desk)),
    ActAttack(
        "in a session never opened",
        "its session was never opened",
        lambda desk: _in("f" * 32, desk),
    ),
    ActAttack(
        "in another person's",
        "its session is another person's",
        lambda desk: _in(desk.visitor("wang").actor.session, desk),
    ),
    ActAttack("after the logout", "its session had ended", _ended),
    ActAttack(
        "before the login",
        "it was asked for before its session was opened",
        lambda desk: _in(desk.visitor("shen").actor.session, desk, asked=-1),
    ),
    ActAttack(
        "asked for tomorrow",
        "it was asked for after it was done",
        lambda desk: _in(desk.visitor("shen").actor.session, desk, asked=2),
    ),
)


def act(desk: Desk, actor: str) -> int:
    """Enter a copy of footage in that name; return the entry's number."""
    with desk.office.catalogue.write() as uow:
        kind = PremisType.DISSEMINATION
        return uow.record("recording.access", kind, actor=actor, subject="system", purpose="copy")


@dataclass(frozen=True, slots=True)
class AddressAttack:
    """Headers that say where a request comes from, and what the log says of it all the same."""

    act: str
    peer: str
    headers: tuple[tuple[str, str], ...]
    address: str


PROXY, TOLD = "172.30.238.2", "203.0.113.5"
ADDRESSES = (
    AddressAttack("none, from anywhere", "198.51.100.7", (), "198.51.100.7"),
    AddressAttack("none, from the proxy", PROXY, (), PROXY),
    AddressAttack("the proxy's own", PROXY, (("x-forwarded-for", TOLD),), TOLD),
    AddressAttack("IPv6", PROXY, (("x-forwarded-for", "2001:DB8:0::5"),), "2001:db8::5"),
    AddressAttack(
        "forged by a stranger", "198.51.100.7", (("x-forwarded-for", "10.0.0.1"),), "198.51.100.7"
    ),
    AddressAttack(
        "the proxy's address as a stranger",
        "198.51.100.7",
        (("x-forwarded-for", PROXY), ("forwarded", f"for={PROXY}"), ("x-real-ip", PROXY)),
        "198.51.100.7",
    ),
    AddressAttack(
        "a list before the proxy's own", PROXY, (("x-forwarded-for", f"10.0.0.1, {TOLD}"),), TOLD
    ),
    AddressAttack(
        "two headers", PROXY, (("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", TOLD)), TOLD
    ),
    AddressAttack("rubbish", PROXY, (("x-forwarded-for", "'; DROP TABLE"),), "unknown"),
    AddressAttack("empty", PROXY, (("x-forwarded-for", ""),), PROXY),
    AddressAttack("a long one", PROXY, (("x-forwarded-for", "1" * 5000),), "unknown"),
    AddressAttack("IPv4 within IPv6", "::ffff:198.51.100.7", (), "198.51.100.7"),
    AddressAttack("no address at all", "somewhere", (), "unknown"),
)
