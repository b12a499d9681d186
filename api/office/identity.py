"""Who is asking: accounts, logins and sessions. Nobody is anonymous, nothing has a default.

Passwords are argon2id hashes; a session is a random token of which only the SHA-256 is kept.
Failed logins are slowed per account name, and every login, refused ones too, is in the log, with
where it came from. Whoever is let in carries the session into the entry of each act (`Visitor`).
"""

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from api.problems import ApiError
from policies.access.access import Person, Role
from policies.identifiers import SYSTEM, PersonId, Subject
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.people import people, register, sessions
from storage.catalogue.tables import AccountRow, PersonRow, SessionRow
from storage.catalogue.unit_of_work import Catalogue, View
from storage.custody.entries.acting import PersonActing, session_id
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import ConflictError

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)  # RFC 9106, 4: second choice
HASHES_AT_ONCE = 2  # 64 MiB each
MIN_PASSWORD = 10
_TRIES = 5
_PAUSE = timedelta(minutes=1)
_SESSION_CHECK_LASTS = timedelta(seconds=5)  # so long the log is not asked again about a session
_COUNTY_WIDE = {Role.REVIEWER, Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: its client's address, and what its program calls itself."""

    address: str
    agent: str = ""


CONSOLE = Origin("console")


@dataclass(frozen=True, slots=True)
class Visitor:
    """An authenticated person; `actor` names him in the log, with the session that proves it."""

    person: Person
    name: str
    username: str
    actor: PersonActing


class Identity:
    """Accounts and sessions over one catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        hours: float,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._entropy = entropy
        self._lasts = timedelta(hours=hours)
        self._few = threading.BoundedSemaphore(HASHES_AT_ONCE)
        # Unknown names cost as much time as known ones.
        self._nobody = HASHER.hash(base64.b64encode(entropy(18)).decode())
        self._failures: dict[str, list[datetime]] = {}
        self._known: dict[tuple[Any, ...], datetime] = {}
        self._lock = threading.Lock()

    def create_person(
        self, *, username: str, password: str, role: Role, name: str, township: str, **more: str
    ) -> PersonId:
        """Make a person with an account; return the person's id.

        With `certificate_no` the person is certified under that number from the first day on;
        the register knows more (`storage/catalogue/people/register.py`).
        Raises: ApiError(invalid) for a short password, ConflictError for a taken name.
        """
        _long_enough(password)
        password_hash = self._hash_password(password)  # before others have to wait for it
        with self._catalogue.write() as uow:
            # In the transaction that makes it: two persons cannot take one name at once.
            if people.account_by_username(uow.session, username) is not None:
                raise ConflictError(problem="user name is taken", username=username)
            person = people.add_person(
                uow,
                name=name,
                kind=more.get("kind", role.value),
                unit=more.get("unit", township),
                township=township,
                certificate_no=more.get("certificate_no"),
                actor=SYSTEM,
            )
            if number := more.get("certificate_no"):
                register.record_certificate(
                    uow,
                    person.id,
                    number=number,
                    category=more.get("category", "综合行政执法"),
                    unit=person.unit,
                    actor=SYSTEM,
                )
            people.create_account(
                uow,
                username=username,
                password_hash=password_hash,
                role=role.value,
                person_id=person.id,
                actor=SYSTEM,
            )
            return person.id

    def has_accounts(self) -> bool:
        """Tell whether there is any account yet."""
        with self._catalogue.read() as session:
            return bool(people.list_accounts(session))

    def set_password(self, username: str, password: str) -> None:
        """Replace a password; open sessions of the account end.

        Raises: ApiError(invalid) for a short password, ApiError(not-found).
        """
        _long_enough(password)
        password_hash = self._hash_password(password)
        with self._catalogue.write() as uow:
            account = people.account_by_username(uow.session, username)
            if account is None:
                raise ApiError("not-found", what="account", id=username[:80])
            # Its sessions end with it: whoever knew the old password is out.
            people.set_password(uow, account.id, password_hash, actor=SYSTEM)

    def login(self, username: str, password: str, origin: Origin = CONSOLE) -> tuple[str, datetime]:
        """Return a new session token and its end.

        Raises: ApiError(bad-login), ApiError(too-many-logins).
        """
        name = username[:100]
        # Before the password is looked at: a name that is being guessed costs no more hashing.
        self._slow_down(name)
        with self._catalogue.read() as session:
            account = people.account_by_username(session, name)
        # Always one hash, for an unknown name a made-up one: how long the answer takes tells nobody
        # which names there are.
        good = self._matches_hash(account.password_hash if account else self._nobody, password)
        if account is None or account.disabled or not good:
            self._record_failed_login(name, account.id if account else None, origin)
            # One answer for unknown, disabled and wrong: each would tell something.
            raise ApiError("bad-login")
        # 256 random bits, kept as a hash: who reads the database cannot take over a session.
        token = base64.urlsafe_b64encode(self._entropy(32)).decode().rstrip("=")
        until = self._clock() + self._lasts
        with self._catalogue.write() as uow:
            sessions.open_session(
                uow,
                token_hash=_hash_token(token),
                account_id=account.id,
                expires_at=until,
                address=origin.address,
                agent=origin.agent,
            )
        with self._lock:
            self._failures.pop(name, None)
        return token, until

    def authenticate_token(self, token: str | None, origin: Origin = CONSOLE) -> Visitor:
        """Return the person who holds a session token. Raises: ApiError(unauthenticated).

        A session that has expired is ended here, if nobody did it before; one that the log did
        not open is refused, and that is an entry.
        """
        if not token:
            raise ApiError("unauthenticated")
        token_hash, now = _hash_token(token), self._clock()
        with self._catalogue.read() as session:
            pair = sessions.find_session(session, token_hash)
            if pair is None:
                raise ApiError("unauthenticated")
            row, account = pair
            # A session row inserted by SQL has no log entry that opened it, and is refused.
            is_open = row.expires_at > now and self._is_logged(session, row, account)
            person = people.get_person(session, account.person_id)
        if not is_open:
            # Asked once more in this transaction, so that of several requests with an old token one
            # ends it.
            with self._catalogue.write() as uow:
                sessions.end_session(uow, token_hash, sessions.End.EXPIRED)
        # Asked at each request: who was disabled a moment ago is out with the next click.
        if not is_open or account.disabled:
            raise ApiError("unauthenticated")
        session_name, until = session_id(token_hash), row.expires_at
        acting = PersonActing(
            Subject.of_person(person.id), session_name, origin.address, until=until
        )
        return _build_visitor(account, person, acting)

    def authenticate_job(self, job: Job) -> Visitor:
        """Return the person who requested a job: today's rights, the session of the request.

        Raises: ApiError(unauthenticated) when no open account is this person's, or when the log
        knows nothing of his asking.
        """
        # The system asks for many jobs, and has no right to see footage.
        if not isinstance(job.asked_by, PersonActing):
            raise ApiError("unauthenticated")
        person_id = PersonId(job.asked_by.removeprefix("person:"))
        with self._catalogue.read() as session:
            # A job row inserted by SQL could unwrap footage in anyone's name; the log must agree.
            if _is_asked_in_log(session, job, job.asked_by):
                for account in people.list_accounts(session):
                    if account.person_id == person_id and not account.disabled:
                        return _build_visitor(
                            account, people.get_person(session, person_id), job.asked_by
                        )
        raise ApiError("unauthenticated")

    def logout(self, token: str, origin: Origin = CONSOLE) -> None:
        """End a session; an unknown one is ended already."""
        token_hash = _hash_token(token)
        with self._catalogue.write() as uow:
            if (pair := sessions.find_session(uow.session, token_hash)) is not None:
                name = session_id(token_hash)
                actor = PersonActing(Subject.of_person(pair[1].person_id), name, origin.address)
                sessions.end_session(uow, token_hash, sessions.End.LOGOUT, actor=actor)
        with self._lock:
            # The cached yes must not outlive the session that was just ended.
            self._known.clear()

    def _is_logged(self, session: View, row: SessionRow, account: AccountRow) -> bool:
        """Ask the log whether it opened this session; a yes is remembered for some seconds."""
        # Everything of the row that the log vouches for: a row that was edited since is asked for
        # anew.
        key = (row.token_hash, row.expires_at, account.id, account.person_id)
        now = self._clock()
        with self._lock:
            # A yes alone is remembered; what the log did not open is asked for again each time.
            if now - self._known.get(key, now - _SESSION_CHECK_LASTS) < _SESSION_CHECK_LASTS:
                return True
        if not sessions.is_logged(session, row, account):
            return False
        with self._lock:
            # Swept here: it holds the sessions of the last seconds and no others.
            self._known = {
                session_key: at
                for session_key, at in self._known.items()
                if now - at < _SESSION_CHECK_LASTS
            }
            self._known[key] = now
        return True

    def _hash_password(self, password: str) -> str:
        with self._few:
            return HASHER.hash(password)

    def _matches_hash(self, password_hash: str, password: str) -> bool:
        try:
            # 64 MiB each: as many at once as were reckoned with, whoever asks.
            with self._few:
                # Cut: argon2 reads all of it, and a password of a megabyte is no password.
                return HASHER.verify(password_hash, password[:1000])
        except (VerifyMismatchError, InvalidHashError):
            return False

    def _slow_down(self, name: str) -> None:
        now = self._clock()
        with self._lock:
            recent = [at for at in self._failures.get(name, []) if now - at < _PAUSE]
        if len(recent) >= _TRIES:
            # From the oldest failure that still counts: each one ages by itself.
            wait = (_PAUSE - (now - recent[0])).total_seconds()
            raise ApiError("too-many-logins", wait_s=round(wait))

    def _record_failed_login(self, name: str, account: str | None, origin: Origin) -> None:
        now = self._clock()
        with self._lock:
            # Swept here: outsiders try names without end, and each would stay in memory for ever.
            # By age alone, as whoever could push names out by number would try one again at once.
            self._failures = {
                tried: recent
                for tried, failures in self._failures.items()
                if (recent := [at for at in failures if now - at < _PAUSE])
            }
            self._failures.setdefault(name, []).append(now)
        with self._catalogue.write() as uow:
            uow.record(
                sessions.OPEN,
                PremisType.VALIDATION,
                actor=SYSTEM,
                subject=Subject.of_account(account) if account else SYSTEM,
                outcome=Outcome.REFUSED,
                username=name,
                address=origin.address,
                agent=origin.agent,
            )


def _build_visitor(account: AccountRow, person: PersonRow, actor: PersonActing) -> Visitor:
    role = Role(account.role)
    # None stands for the whole county, and comes from the role alone: an empty field of a person's
    # row cannot widen what he sees.
    township = None if role in _COUNTY_WIDE else person.township
    return Visitor(Person(person.id, role, township, actor), person.name, account.username, actor)


def _is_asked_in_log(session: View, job: Job, by: PersonActing) -> bool:
    """Tell whether an entry says that this person, in this session, asked for a job."""
    log, subject = LogReader(session), Subject.of_job(job.id)
    indexes = [event.index for event in log.events_of(subject, act="job.ask")]
    # All of it at once: the same person's entry about another job, or in another session, vouches
    # for nothing.
    expected = ("job.ask", Outcome.SUCCESS, by, subject)
    return any(
        (entry["act"], entry["outcome"], entry["actor"], entry["subject"]) == expected
        and details.get("session") == by.session
        for entry, details in log.open_entries(indexes)
    )


def _hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _long_enough(password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise ApiError("invalid", problem=f"密码至少 {MIN_PASSWORD} 个字符")
