"""What somebody does with sessions who has the database, or who forges what a browser sends."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from api.jobs import request
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.people import sessions
from storage.catalogue.tables import AccountRow, RecordingRow, SessionRow
from storage.custody.entries.acting import PersonActing
from storage.custody.entries.event import PremisType
from tests.attacks.attack import Attack, Means
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
    sql(desk, place, name=Subject.of_session(HASH[:32]), true=Subject.of_session(true or ""))
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


def _row(act: str, forge: Callable[[Desk], str]) -> Attack:
    """Return an attack upon a session's row; `do` gives the token to come with."""
    told = {"means": Means.SQL, "level": None, "check": "session.use"}
    return Attack(asset="session", act=act, do=forge, **told)


ROWS = (
    _row("a row inserted", _insert),
    _row("a row inserted, with the index of another's opening", _insert_with_chain),
    _row("its row turned to another account", _another_account),
    _row("its expiry moved", _longer),
    _row("its row put back after the logout", _back_after_logout),
)


def _shen(desk: Desk) -> str:
    return f"person:{desk.persons['shen']}"


def _other(desk: Desk) -> str:
    return f"person:{desk.persons['zhang']}"


def asked_job(desk: Desk) -> str:
    """Have the reviewer ask for what unwraps footage; return the job's id."""
    with desk.office.catalogue.read() as session:
        name = str(session.scalars(select(RecordingRow.id).limit(1)).one())
    return request.ask_as(desk.service, desk.visitor("shen"), "inspect", name).id


def _inserted_job(desk: Desk) -> str:
    actor = desk.visitor("shen").actor
    with desk.office.catalogue.write() as uow:
        return jobs.request_job(uow, "inspect", f"recording:{uow.new_id()}", actor=actor).id


def _job_with_forged_half(desk: Desk) -> str:
    """Write the asking into the readable half of another entry, which anybody can."""
    job, shen = _inserted_job(desk), desk.visitor("shen").actor
    half = (
        "UPDATE custody_event SET act = 'job.ask', actor = :actor, subject = :job,"
        " outcome = 'success', details = :details"
        ' WHERE "index" = (SELECT max("index") FROM custody_event)'
    )
    details = f'{{"session":"{shen.session}"}}'
    sql(desk, half, actor=str(shen), job=f"job:{job}", details=details)
    return job


def _job_of(column: str, value: Callable[[Desk], str | None]) -> Callable[[Desk], str]:
    def forge(desk: Desk) -> str:
        job = asked_job(desk)
        turned = f"UPDATE job SET {column} = :value WHERE id = :id"  # noqa: S608 - ours
        sql(desk, turned, value=value(desk), id=job)
        return job

    return forge


def _job(act: str, forge: Callable[[Desk], str]) -> Attack:
    """Return an attack upon the row of a job that unwraps footage; `do` gives its id."""
    told = {"means": Means.SQL, "level": None, "check": "unauthenticated"}
    return Attack(asset="job", act=act, do=forge, **told)


JOBS = (
    _job("a row inserted", _inserted_job),
    _job("its row turned to another person", _job_of("asked_by", _other)),
    _job(
        "its row turned to another session",
        _job_of("session", lambda desk: desk.visitor("shen").actor.session),
    ),
    _job("a row inserted, its asking written over an entry's half", _job_with_forged_half),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgedAct(Attack):
    """An entry in a person's name from outside the faces; `do` gives the actor that it names.

    `why` is how the audit names it; `level` says whether a bundle of its case names it, too.
    """

    why: str


def _act(act: str, why: str, actor: Callable[[Desk], str], *, shown: bool = False) -> ForgedAct:
    told = {"level": 2, "check": "sessions"} if shown else {"level": None, "check": AUDIT}
    return ForgedAct(asset="act of a person", act=act, means=Means.SQL, do=actor, why=why, **told)


def _in(session: str | None, desk: Desk, *, asked: float | None = None) -> PersonActing:
    """Return the reviewer in a session of the attacker's choice, asked so many hours from now."""
    asked_at = None if asked is None else desk.office.clock() + timedelta(hours=asked)
    return PersonActing(_shen(desk), session, "192.0.2.9", asked_at=asked_at)


def _ended(desk: Desk) -> str | None:
    token, _until = desk.service.identity.login("shen", PASSWORD)
    session = desk.service.identity.authenticate_token(token).actor.session
    desk.service.identity.logout(token)
    return session


def _expired(desk: Desk) -> str:
    """Have a session opened that is over by the next act."""
    with desk.office.catalogue.write() as uow:
        account = uow.session.query(AccountRow).filter_by(username="shen").one()
        sessions.open_session(
            uow,
            token_hash="e" * 64,
            account_id=account.id,
            expires_at=uow.at + timedelta(microseconds=1),
            address="console",
        )
        uow.session.delete(uow.session.get(SessionRow, "e" * 64))
    return "e" * 32


def _of_the_case(desk: Desk) -> str:
    """Return the session in which an officer opened the newest case."""
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        events = (log.get_event(index) for index in reversed(range(log.size)))
        return next(str(one.details["session"]) for one in events if one.act == "case.open")


AUDIT = "act-outside-session"
ACTS = (
    _act("in no session", "it names no session", _shen, shown=True),
    _act(
        "in no session, asked for today",
        "it names no session",
        lambda desk: _in(None, desk, asked=0),
        shown=True,
    ),
    _act(
        "in a session never opened",
        "its session was never opened",
        lambda desk: _in("f" * 32, desk),
        shown=True,
    ),
    _act(
        "in another person's session",
        "its session is another person's",
        lambda desk: _in(_of_the_case(desk), desk),
        shown=True,
    ),
    _act(
        "after the logout",
        "its session had ended",
        lambda desk: _in(_ended(desk), desk),
        shown=True,
    ),
    _act(
        "asked for after the logout",
        "its session had ended",
        lambda desk: _in(_ended(desk), desk, asked=0),
    ),
    _act("after the expiry", "its session had expired", lambda desk: _in(_expired(desk), desk)),
    _act(
        "asked for before the login",
        "it was asked for before its session was opened",
        lambda desk: _in(desk.visitor("shen").actor.session, desk, asked=-1),
    ),
    _act(
        "asked for tomorrow",
        "it was asked for after it was done",
        lambda desk: _in(desk.visitor("shen").actor.session, desk, asked=2),
        shown=True,
    ),
)


def enter(desk: Desk, actor: str, subject: str = "system") -> int:
    """Enter a copy of footage in that name, past what our program asks; return its number."""
    told = actor.to_json() if isinstance(actor, PersonActing) else {}
    with desk.office.catalogue.write() as uow:
        kind = PremisType.DISSEMINATION
        return uow.record(
            "recording.access", kind, actor=str(actor), subject=subject, purpose="copy", **told
        )


PROXY, CLIENT, STRANGER = "172.30.238.2", "203.0.113.5", "198.51.100.7"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgedAddress(Attack):
    """Headers that lie about where a request comes from; `do` logs in with them.

    `address` is what the log says all the same.
    """

    address: str


def log_in(app: FastAPI, peer: str, headers: Headers = ()) -> str:
    """Log in over a connection from there; return the token."""
    client = TestClient(app, client=(peer, 50000), headers={"user-agent": "x" * 500 + "\t"})
    body = {"username": "zhang", "password": PASSWORD}
    told = client.post("/api/v1/sessions", json=body, headers=list(headers)).json()
    return str(told["token"])


# Peer, headers, and what the log says: nobody lies here.
TRUE_ADDRESSES: tuple[tuple[str, Headers, str], ...] = (
    (STRANGER, (), STRANGER),
    (PROXY, (), PROXY),
    (PROXY, (("x-forwarded-for", CLIENT),), CLIENT),
    (PROXY, (("x-forwarded-for", "2001:DB8:0::5"),), "2001:db8::5"),
    (PROXY, (("x-forwarded-for", ""),), PROXY),
    (f"::ffff:{STRANGER}", (), STRANGER),
    (f"::ffff:{PROXY}", (("x-forwarded-for", CLIENT),), CLIENT),
    (PROXY, (("x-forwarded-for", f"{CLIENT}, ::ffff:{PROXY}"),), CLIENT),
    ("somewhere", (), "unknown"),
)


def _address(act: str, peer: str, headers: Headers, address: str) -> ForgedAddress:
    return ForgedAddress(
        asset="client's address",
        act=act,
        means=Means.NONE,
        level=None,
        check="trusted_proxies",
        do=lambda app: log_in(app, peer, headers),
        address=address,
    )


ADDRESSES = (
    _address("forged by X-Forwarded-For", STRANGER, (("x-forwarded-for", "10.0.0.1"),), STRANGER),
    _address(
        "forged by every such header, as the proxy's",
        STRANGER,
        (("x-forwarded-for", PROXY), ("forwarded", f"for={PROXY}"), ("x-real-ip", PROXY)),
        STRANGER,
    ),
    _address(
        "forged in a list before the proxy's own",
        PROXY,
        (("x-forwarded-for", f"10.0.0.1, {CLIENT}"),),
        CLIENT,
    ),
    _address(
        "forged in a header before the proxy's own",
        PROXY,
        (("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", CLIENT)),
        CLIENT,
    ),
    _address("rubbish through a proxy", PROXY, (("x-forwarded-for", "'; DROP TABLE"),), "unknown"),
    _address("without end through a proxy", PROXY, (("x-forwarded-for", "1" * 5000),), "unknown"),
)

ATTACKS = (*ROWS, *JOBS, *ACTS, *ADDRESSES)
UNDETECTED = (
    """A session that somebody with the database opens by a whole entry of his own, which the service
then signs: the entry stands in the log for ever, and no password was asked for.""",
    """What was asked for while a person's true session was open, by a made-up row of a job or of a
file handed in: what unwraps footage takes an entry of the asking, other work does not.""",
    """Whether an act of a case lay before its session's end or after it, where the act says that it
was asked for earlier: the office's own audit tells that, and no bundle.""",
)
