"""Who is asking: accounts, logins and sessions. Nobody is anonymous, nothing has a default.

Passwords are argon2id hashes; a session is a random token of which only the SHA-256 is kept.
Failed logins are slowed per account name, and every login, refused ones too, is in the log.
"""

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from api.problems import ApiError
from policies.access import Person, Role
from storage.catalogue import people, register
from storage.catalogue.tables import AccountRow, PersonRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.event import Outcome, PremisType
from storage.errors import ConflictError

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)  # RFC 9106, 4: second choice
HASHES_AT_ONCE = 2  # 64 MiB each
MIN_PASSWORD = 10
_TRIES = 5
_PAUSE = timedelta(minutes=1)
_COUNTY_WIDE = {Role.REVIEWER, Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Visitor:
    """An authenticated person, with the session that proves it."""

    person: Person
    name: str
    username: str
    session: str

    @property
    def actor(self) -> str:
        """How the custody log names this person."""
        return f"person:{self.person.id}"


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
        self._lock = threading.Lock()

    def create(
        self, *, username: str, password: str, role: Role, name: str, township: str, **more: str
    ) -> str:
        """Make a person with an account; return the person's id.

        With `certificate_no` the person is certified under that number from the first day on;
        the register knows more (`storage/catalogue/register.py`).
        Raises: ApiError(invalid) for a short password, ConflictError for a taken name.
        """
        _long_enough(password)
        password_hash = self._hash(password)  # before others have to wait for it
        with self._catalogue.write() as uow:
            if people.account_by_username(uow.session, username) is not None:
                raise ConflictError(problem="user name is taken", username=username)
            person = people.add_person(
                uow,
                name=name,
                kind=more.get("kind", role.value),
                unit=more.get("unit", township),
                township=township,
                certificate_no=more.get("certificate_no"),
                actor="system",
            )
            if number := more.get("certificate_no"):
                register.certify(
                    uow,
                    person.id,
                    number=number,
                    category=more.get("category", "综合行政执法"),
                    unit=person.unit,
                    actor="system",
                )
            people.create_account(
                uow,
                username=username,
                password_hash=password_hash,
                role=role.value,
                person_id=person.id,
                actor="system",
            )
            return person.id

    def anyone(self) -> bool:
        """Tell whether there is any account yet."""
        with self._catalogue.read() as session:
            return bool(people.accounts(session))

    def set_password(self, username: str, password: str) -> None:
        """Replace a password; open sessions of the account end.

        Raises: ApiError(invalid) for a short password, ApiError(not-found).
        """
        _long_enough(password)
        password_hash = self._hash(password)
        with self._catalogue.write() as uow:
            account = people.account_by_username(uow.session, username)
            if account is None:
                raise ApiError("not-found", what="account", id=username[:80])
            people.set_password(uow, account.id, password_hash, actor="system")

    def login(self, username: str, password: str) -> tuple[str, datetime]:
        """Return a new session token and its end.

        Raises: ApiError(bad-login), ApiError(too-many-logins).
        """
        name = username[:100]
        self._slow_down(name)
        with self._catalogue.read() as session:
            account = people.account_by_username(session, name)
        good = self._matches(account.password_hash if account else self._nobody, password)
        if account is None or account.disabled or not good:
            self._failed(name, account.id if account else None)
            raise ApiError("bad-login")
        token = base64.urlsafe_b64encode(self._entropy(32)).decode().rstrip("=")
        until = self._clock() + self._lasts
        with self._catalogue.write() as uow:
            people.open_session(
                uow, token_hash=_hashed(token), account_id=account.id, expires_at=until
            )
            uow.record(
                "session.open",
                PremisType.VALIDATION,
                actor=f"person:{account.person_id}",
                subject=f"account:{account.id}",
            )
        with self._lock:
            self._failures.pop(name, None)
        return token, until

    def visitor(self, token: str | None) -> Visitor:
        """Return who holds this token. Raises: ApiError(unauthenticated)."""
        if not token:
            raise ApiError("unauthenticated")
        with self._catalogue.read() as session:
            account = people.session_account(session, _hashed(token), self._clock())
            if account is None:
                raise ApiError("unauthenticated")
            person = people.person(session, account.person_id)
        return _visitor(account, person, _hashed(token))

    def absent(self, person_id: str, session_name: str) -> Visitor:
        """Return a person who asked for something earlier, with the rights of today.

        Raises: ApiError(unauthenticated) when no open account is this person's.
        """
        with self._catalogue.read() as session:
            for account in people.accounts(session):
                if account.person_id == person_id and not account.disabled:
                    return _visitor(account, people.person(session, person_id), session_name)
        raise ApiError("unauthenticated")

    def logout(self, token: str) -> None:
        """End a session; an unknown one is ended already."""
        with self._catalogue.write() as uow:
            people.close_session(uow, _hashed(token))

    def _hash(self, password: str) -> str:
        with self._few:
            return HASHER.hash(password)

    def _matches(self, kept: str, password: str) -> bool:
        try:
            with self._few:
                return HASHER.verify(kept, password[:1000])
        except (VerifyMismatchError, InvalidHashError):
            return False

    def _slow_down(self, name: str) -> None:
        now = self._clock()
        with self._lock:
            recent = [at for at in self._failures.get(name, []) if now - at < _PAUSE]
            self._failures[name] = recent
        if len(recent) >= _TRIES:
            wait = (_PAUSE - (now - recent[0])).total_seconds()
            raise ApiError("too-many-logins", wait_s=round(wait))

    def _failed(self, name: str, account: str | None) -> None:
        with self._lock:
            self._failures.setdefault(name, []).append(self._clock())
        with self._catalogue.write() as uow:
            uow.record(
                "session.open",
                PremisType.VALIDATION,
                actor="system",
                subject=f"account:{account}" if account else "system",
                outcome=Outcome.REFUSED,
                username=name,
            )


def _visitor(account: AccountRow, person: PersonRow, session: str) -> Visitor:
    role = Role(account.role)
    township = None if role in _COUNTY_WIDE else person.township
    return Visitor(Person(person.id, role, township), person.name, account.username, session)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _long_enough(password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise ApiError("invalid", problem=f"密码至少 {MIN_PASSWORD} 个字符")
