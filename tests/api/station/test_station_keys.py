"""Several keys of one station: renewed, replaced, moved; and a record sealed after its key's end."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from api.office.enrolment import ENROL_DOMAIN, enrol_station_key, offer_enrolment
from api.office.evidence.export import export_bundle
from api.office.service import Service
from api.office.wiring import Office
from ingest.bays.settle import Patience
from storage.bundle.report import Verdict
from storage.bundle.verify import verify
from storage.catalogue.proofs.office_keys import office_keys
from storage.catalogue.stations import enrolment
from storage.signed.signing import SigningKey, sign_document
from tests.office import FIRST, Desk, dock, segment
from tests.old_log import before_chains, forget_chains
from tests.third_party.test_verify_bundle import refused


def enrolled(desk, station="station-1"):
    """Enrol a station as the network does; return the key that it made itself."""
    code = offer_enrolment(desk.office, station, name=None, township=None, actor="system")
    key = SigningKey.from_seeds(station, os.urandom(64))
    body = {"code": code.secret_hash, "key": key.verify_key().to_json()}
    enrol_station_key(desk.office, str(code), sign_document(key, ENROL_DOMAIN, body).decode())
    return key


def sealed_under(desk, key, start_s):
    """Dock a segment, seal it under a station's key and have the centre take it."""
    dock(desk, "bay-1", FIRST, segment(start_s, 3))
    station = desk.office.build_station(patience=Patience(0, 1000))
    if key is not None:
        station.seal = replace(station.seal, station=key.name, key=key)
    for _ in range(2):
        station.sweep_bay(desk.office.list_bays()[0])


def exported(desk, case, action, folder):
    desk.link(action)
    export_bundle(desk.service, desk.visitor("zhang"), case, folder)
    return folder


def problems(bundle, keys):
    report = verify(bundle, keys)
    return report.verdict, [
        (check.level, check.name, problem) for check in report.checks for problem in check.problems
    ]


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    """An office that was moved: its own key of before stays, and its station is enrolled anew.

    Renewed once, and replaced once; each key sealed something while it was good.
    """
    desk = Desk.set_up(tmp_path_factory.mktemp("county"))
    case, action = desk.seizure(60)
    sealed_under(desk, None, 0)
    first = enrolled(desk)
    sealed_under(desk, first, 10)
    second = enrolled(desk)
    sealed_under(desk, second, 20)
    yield desk, case, action, (first, second)
    desk.office.close()


def test_a_bundle_with_recordings_under_every_key_of_a_station_verifies(county, tmp_path):
    desk, case, action, _keys = county
    bundle = exported(desk, case, action, tmp_path / "bag")
    assert len(list((bundle / "data/keys").glob("station-station-1-*.verify"))) == 3
    assert problems(bundle, desk.office.settings.keys) == (Verdict.VERIFIED, [])
    levels, said = refused(bundle, desk.office.settings.keys)
    assert levels == set(), said


def test_a_record_sealed_after_its_keys_end_is_named(county, tmp_path):
    desk, case, action, (first, _second) = county
    sealed_under(desk, first, 30)  # it ended when the second one was enrolled
    bundle = exported(desk, case, action, tmp_path / "revoked")
    verdict, found = problems(bundle, desk.office.settings.keys)
    assert verdict is Verdict.NOT_VERIFIED
    assert [one[:2] for one in found] == [(2, "keys")], found
    assert "sealed after the end of its key" in found[0][2]
    assert refused(bundle, desk.office.settings.keys)[0] == {2}


def test_every_key_is_told_of_with_its_time(county):
    desk, _case, _action, keys = county
    with desk.office.catalogue.read() as session:
        told = {key.fingerprint: key for key in office_keys(session)}
    first, second = (told[key.verify_key().fingerprint] for key in keys)
    own = told[desk.office.ring.stations[0].fingerprint]
    assert own.until is None
    assert first.until == second.since
    assert second.until - second.since > timedelta(days=300)


def test_a_key_that_expired_is_named_in_what_it_sealed_afterwards(tmp_path):
    desk = Desk.set_up(tmp_path)
    case, action = desk.seizure(60)
    with desk.office.catalogue.write() as uow:
        enrolment.offer_enrolment(uow, "station-1", "0" * 64, actor="system")
    key = SigningKey.from_seeds("station-1", os.urandom(64))
    with desk.office.catalogue.write() as uow:
        enrolment.take_up(uow, "0" * 64, key.verify_key(), uow.at)
    sealed_under(desk, key, 0)
    bundle = exported(desk, case, action, tmp_path / "bag")
    verdict, found = problems(bundle, desk.office.settings.keys)
    desk.office.close()
    assert (verdict, [one[:2] for one in found]) == (Verdict.NOT_VERIFIED, [(2, "keys")])


def test_an_office_of_before_tells_of_its_keys_once_and_its_footage_verifies(tmp_path):
    with before_chains():
        desk = Desk.set_up(tmp_path)
        case, action = desk.seizure(60)
        sealed_under(desk, None, 0)
        forget_chains(desk.office.catalogue)
    desk.office.close()
    sizes = []
    for _ in range(2):
        desk.office = Office.open(desk.office.settings)
        desk.service = Service.of_office(desk.office)
        sizes.append(desk.office.catalogue.count_entries())
        with desk.office.catalogue.read() as session:
            uses = [key.use for key in office_keys(session)]
        assert uses == ["centre", "log", "vault", "recovery", "station"]
        if len(sizes) < 2:
            desk.office.close()
    assert sizes[0] == sizes[1]
    bundle = exported(desk, case, action, tmp_path / "bag")
    assert problems(bundle, desk.office.settings.keys) == (Verdict.VERIFIED, [])
    desk.office.close()
