"""Who is known, who may log in, whose recorder it is."""

# ruff: noqa: PT012 - what is refused is the whole unit of work

from datetime import timedelta

import pytest

from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.people import people, register, sessions
from storage.custody.entries.acting import PersonActing
from storage.errors import ConflictError, NotFoundError, SessionEndedError

ADMIN = "person:admin"


@pytest.fixture
def account(catalogue, office):
    with catalogue.write() as uow:
        return people.create_account(
            uow,
            username="zhang",
            password_hash="$argon2id$one",
            role="officer",
            person_id=office.first.id,
            actor=ADMIN,
        )


def test_officers_are_found_by_certificate_and_place(catalogue, office):
    with catalogue.read() as session:
        assert people.officer_by_certificate(session, "002").id == office.second.id
        assert people.officer_by_certificate(session, "009") is None
        assert [p.id for p in people.list_persons(session, kinds=["auxiliary"])] == [
            office.helper.id
        ]
        assert len(people.list_persons(session, township=office.township)) == 3
        assert people.list_persons(session, township="别处") == []
        assert people.get_station(session, "s1").township == office.township
        assert [s.id for s in people.list_stations(session)] == ["s1"]


def test_one_certificate_belongs_to_one_person(catalogue, office):
    with pytest.raises(ConflictError), catalogue.write() as uow:
        people.add_person(
            uow,
            name="赵六",
            kind="officer",
            unit="u",
            township="t",
            certificate_no="001",
            actor=ADMIN,
        )


def test_a_station_is_enrolled_once(catalogue, office):
    with pytest.raises(ConflictError), catalogue.write() as uow:
        people.add_station(uow, id="s1", name="again", township="t", actor=ADMIN)


def test_a_source_goes_from_hand_to_hand_and_the_log_knows(catalogue, office):
    with catalogue.write() as uow:
        source = people.add_source(
            uow,
            serial="R1",
            kind="recorder",
            family="generic",
            label="一号",
            township=office.township,
            actor=ADMIN,
        )
        given = register.assign_source(uow, "R1", office.first.id, actor=ADMIN)
        assert given is not None
        register.assign_source(uow, "R1", None, actor=ADMIN)
    with catalogue.read() as session:
        assert register.find_holder(session, "R1", given.from_at) is None  # given and taken at once
        assert [s.serial for s in people.list_sources(session, township=office.township)] == ["R1"]
        events = LogReader(session).events_of(f"source:{source.id}")
        assert [e.act for e in events] == ["source.add", "source.assign", "source.assign"]
        assert "R1" not in LogReader(session).get_leaf(events[0].index)


def test_an_unknown_source_or_officer_is_not_found(catalogue, office):
    with pytest.raises(NotFoundError), catalogue.write() as uow:
        register.assign_source(uow, "R9", office.first.id, actor=ADMIN)


def test_a_source_is_registered_once(catalogue, office):
    facts = {"kind": "recorder", "family": "f", "label": "l", "township": "t", "actor": ADMIN}
    with pytest.raises(ConflictError), catalogue.write() as uow:
        people.add_source(uow, serial="R1", **facts)
        people.add_source(uow, serial="R1", **facts)


def test_a_username_is_taken_once(catalogue, office, account):
    with pytest.raises(ConflictError), catalogue.write() as uow:
        people.create_account(
            uow,
            username="zhang",
            password_hash="x",
            role="admin",
            person_id=office.second.id,
            actor=ADMIN,
        )


def test_the_log_holds_no_password_hash(catalogue, account):
    with catalogue.read() as session:
        (event,) = LogReader(session).events_of(f"account:{account.id}")
        state = event.details["rows"][0]["state"]
        assert state["password_hash"].startswith("sha-256:")
        assert people.account_by_username(session, "zhang").password_hash == "$argon2id$one"
        assert [a.id for a in people.list_accounts(session)] == [account.id]


@pytest.fixture
def login(catalogue, account, now):
    with catalogue.write() as uow:
        sessions.open_session(
            uow,
            token_hash="t" * 64,
            account_id=account.id,
            expires_at=now + timedelta(hours=8),
            address="192.0.2.7",
            agent="a browser",
        )
    return "t" * 64


def who(catalogue, login):
    with catalogue.read() as session:
        found = sessions.find_session(session, login)
        return found and found[1].username


def told_of(catalogue, login):
    """Return what the chain of a session tells: act, actor, and details but for the session."""
    with catalogue.read() as session:
        log = LogReader(session)
        (indexes,) = log.chain_entries([f"session:{login[:32]}"]).values()
        events = [log.get_event(index) for index in indexes]
        return [(one.act, one.actor, one.details) for one in events]


def test_a_login_lasts_until_it_ends_and_the_log_tells_both_once(catalogue, account, login):
    assert who(catalogue, login) == "zhang"
    assert who(catalogue, "x" * 64) is None
    for _ in range(2):
        with catalogue.write() as uow:
            sessions.end_session(uow, login, sessions.End.LOGOUT)
    assert who(catalogue, login) is None
    opened, closed = told_of(catalogue, login)
    assert opened[:2] == ("session.open", f"person:{account.person_id}")
    assert opened[2]["session"] == login[:32]
    assert (opened[2]["address"], opened[2]["agent"]) == ("192.0.2.7", "a browser")
    assert closed == ("session.close", "system", {"ended": login[:32], "why": "logout"})


def test_a_login_that_expired_is_told_once(catalogue, login, clock):
    clock.now += timedelta(hours=9)
    for _ in range(2):
        with catalogue.write() as uow:
            sessions.end_expired(uow)
    assert who(catalogue, login) is None
    assert [told[2].get("why") for told in told_of(catalogue, login)] == [None, "expired"]


def test_an_act_in_a_session_that_ended_meanwhile_is_not_done(catalogue, account, login, clock):
    until = clock.now + timedelta(hours=1)
    actor = PersonActing(f"person:{account.person_id}", login[:32], "192.0.2.7", until=until)

    def act():
        with catalogue.write() as uow:
            people.add_station(uow, id=uow.new_id(), name="s", township="t", actor=actor)

    act()
    clock.now += timedelta(hours=2)
    with pytest.raises(SessionEndedError):
        act()
    clock.now -= timedelta(hours=2)
    act()
    with catalogue.write() as uow:
        sessions.end_session(uow, login, sessions.End.LOGOUT, actor=actor)
    with pytest.raises(SessionEndedError):
        act()
    stranger = PersonActing(f"person:{account.person_id}", "f" * 32, "192.0.2.7")
    with pytest.raises(SessionEndedError), catalogue.write() as uow:
        people.add_station(uow, id="s9", name="s", township="t", actor=stranger)


def test_a_new_password_ends_every_open_login(catalogue, account, login):
    with catalogue.write() as uow:
        people.set_password(uow, account.id, "$argon2id$two", actor=ADMIN)
    assert who(catalogue, login) is None
    assert told_of(catalogue, login)[1][2]["why"] == "password-changed"


def test_a_disabled_account_is_out_at_once_and_cannot_come_back(catalogue, account, login, now):
    with catalogue.write() as uow:
        people.set_disabled(uow, account.id, disabled=True, actor=ADMIN)
    assert who(catalogue, login) is None
    assert told_of(catalogue, login)[1][2]["why"] == "disabled"
    with pytest.raises(ConflictError), catalogue.write() as uow:
        sessions.open_session(
            uow, token_hash="u" * 64, account_id=account.id, expires_at=now, address="192.0.2.7"
        )


def test_unknown_people_are_not_found(catalogue):
    with catalogue.read() as session:
        for look in (people.get_person, people.get_account, people.get_station):
            with pytest.raises(NotFoundError):
                look(session, "nobody")
