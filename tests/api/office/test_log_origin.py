"""An office that shares its log's origin gets its own, and all that was signed before stays good."""

import json
import os
import shutil

import pytest

from api.office.evidence.log_origin import rename_origin
from api.office.service import Service
from api.office.wiring import Office
from api.problems import ApiError
from storage.bundle.verify import verify
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.proofs.publish import publish_head
from storage.custody.checkpoint import log_keys, open_checkpoint
from storage.custody.merkle.tree import verify_consistency
from storage.custody.origin import ACT, SHARED_ORIGIN
from storage.custody.signer import LogSigner
from storage.errors import CustodyError, OriginChangedError, SignatureError
from storage.vault.keys import KeyRing
from tests.command import run
from tests.office import FIRST, SECOND, Desk, dock, segment, settings_for
from tests.township import County, Township

NEW = "sfj.qinglong.example/custody"


class KilledError(Exception):
    """The process ends here."""


def of_before(folder):
    """An office as it was founded when nobody was asked: the shared origin, and no record."""
    settings = settings_for(folder)
    settings.home.mkdir(exist_ok=True)
    KeyRing.create(
        settings.keys,
        station=settings.station,
        origin=SHARED_ORIGIN,
        recovery_out=settings.recovery_out,
        entropy=os.urandom,
    )
    return Desk.set_up(folder)


def reopened(desk):
    office = Office.open(desk.office.settings)
    return Desk(office, Service.of_office(office), desk.persons)


def exported(desk, case, folder):
    from api.office.evidence.export import export_bundle

    export_bundle(desk.service, desk.visitor("shen"), case, folder)
    return folder


@pytest.fixture(scope="module")
def renamed(tmp_path_factory):
    """An office of the old default: recordings and a bundle, the change, and both again."""
    folder = tmp_path_factory.mktemp("renamed")
    desk = of_before(folder)
    dock(desk, "bay-1", FIRST, segment(-5, 15))
    desk.sweep()
    case, action = desk.seizure()
    desk.link(action)
    first = exported(desk, case, folder / "first")
    shutil.copytree(desk.office.settings.keys, folder / "keys-before")
    head = publish_head(desk.office.catalogue, desk.office.signer)
    desk.office.close()
    before = rename_origin(desk.office.settings, NEW)
    desk = reopened(desk)
    dock(desk, "bay-2", SECOND, segment(8, 30))
    desk.sweep()
    desk.link(action)
    second = exported(desk, case, folder / "second")
    yield desk, head, before, first, second
    desk.office.close()


def test_both_bundles_verify_offline_under_the_keys_of_either_time(renamed):
    desk, _head, _before, first, second = renamed
    folder = desk.office.settings.home.parent
    for bundle in (first, second):
        for keys in (None, folder / "keys-before", desk.office.settings.keys):
            report = verify(bundle, keys)
            assert report.passed, (bundle, keys, report.format_lines())
    assert (second / "data/custody/checkpoint").read_text().startswith(f"{NEW}\n")


def test_the_first_entry_under_the_new_origin_names_the_last_head_under_the_old(renamed):
    desk, head, before, _first, _second = renamed
    old = open_checkpoint(head, log_keys(desk.office.ring.get_verify_key("log"), NEW))
    assert (old.origin, old.size) == (SHARED_ORIGIN, before.size)
    with desk.office.catalogue.read() as session:
        event = LogReader(session).get_event(before.size)
    assert event.act == ACT
    assert event.details == {"v": 1, "before": before.to_json(), "origin": NEW}


def test_a_monitor_that_holds_an_old_head_proves_that_the_new_one_continues_it(renamed):
    desk, head, _before, _first, _second = renamed
    key = desk.office.ring.get_verify_key("log")
    old = open_checkpoint(head, log_keys(key, NEW))
    new = open_checkpoint(desk.service.publish_checkpoint(), log_keys(key, NEW))
    assert new.origin == NEW
    with desk.office.catalogue.read() as session:
        proof = LogReader(session).prove_consistency(old.size, new.size)
    verify_consistency(old.size, old.root, new.size, new.root, proof)


def test_everything_kept_is_whole_and_the_key_ids_are_as_they_were(renamed):
    desk, *_ = renamed
    home = desk.office.settings.home
    assert run(home, "verify", "--all").returncode == 0
    told = {one["name"]: one for one in json.loads(run(home, "doctor", "--json").out)}
    assert told["log origin"] == {"name": "log origin", "good": True, "zh": NEW}
    before = KeyRing.load(home.parent / "keys-before").get_verify_key("log")
    assert desk.office.ring.get_verify_key("log").kid == before.kid


def test_a_bundle_that_leaves_the_change_out_or_tells_it_otherwise_is_refused(renamed, tmp_path):
    desk, *_, second = renamed
    for number, edit in enumerate(
        (
            lambda lines: [one for one in lines if ACT not in one],
            lambda lines: [one.replace(SHARED_ORIGIN, "other.example/log") for one in lines],
        )
    ):
        copy = tmp_path / str(number)
        shutil.copytree(second, copy)
        entries = copy / "data/custody/entries.jsonl"
        lines = entries.read_text().splitlines(keepends=True)
        entries.write_text("".join(edit(lines)))
        checks = {one.name: one for one in verify(copy, desk.office.settings.keys).checks}
        assert not checks["origins"].passed


def test_nothing_beyond_its_last_head_is_good_under_an_origin_that_was_given_up(renamed):
    desk, _head, before, _first, _second = renamed
    office = desk.office
    from storage.custody.checkpoint import Checkpoint, sign_checkpoint

    forged = Checkpoint(SHARED_ORIGIN, before.size + 1, bytes(32))
    text = sign_checkpoint(forged, office.ring.get_signing_key("log"), office.clock())
    with pytest.raises(SignatureError, match="given up"):
        open_checkpoint(text, log_keys(office.ring.get_verify_key("log"), NEW))


def test_a_process_that_knows_the_old_origin_signs_nothing_any_more(renamed):
    desk, *_ = renamed
    ring = KeyRing.load(desk.office.settings.home.parent / "keys-before")
    signer = LogSigner(
        ring.get_signing_key("log"),
        SHARED_ORIGIN,
        desk.office.settings.home / "log-signer" / "head",
    )
    with pytest.raises(OriginChangedError):
        publish_head(desk.office.catalogue, signer)


STEPS = ("last-head-signed", "origin-left", "change-logged", "key-kept")


@pytest.mark.parametrize("step", STEPS)
def test_a_change_that_is_killed_is_finished_when_it_is_said_again(tmp_path, step):
    desk = of_before(tmp_path)
    desk.service.publish_checkpoint()
    settings = desk.office.settings
    desk.office.close()

    def kill(at):
        if at == step:
            raise KilledError

    with pytest.raises(KilledError):
        rename_origin(settings, NEW, kill)
    office = Office.open(settings)  # it opens, and takes in entries, wherever it was killed
    with office.catalogue.write() as uow:
        from storage.catalogue.people import people

        people.add_station(uow, id="s9", name="九号", township="青龙镇", actor="system")
    if step in {"origin-left", "change-logged"}:
        with pytest.raises(OriginChangedError):
            publish_head(office.catalogue, office.signer)
        with pytest.raises(ApiError):
            rename_origin(settings, "another.example/log")
    office.close()
    before = rename_origin(settings, NEW)
    assert rename_origin(settings, NEW) == before
    office = Office.open(settings)
    with office.catalogue.read() as session:
        log = LogReader(session)
        assert log.get_event(before.size).act == ACT
        assert sum(log.get_event(index).act == ACT for index in range(log.size)) == 1
        assert log.compute_root(before.size) == before.root
    assert office.signer.last_head().origin == NEW
    office.close()
    assert run(settings.home, "verify", "--all").returncode == 0


def test_a_key_folder_of_before_learns_every_change_from_the_log_again(tmp_path):
    desk = of_before(tmp_path)
    settings = desk.office.settings
    desk.office.close()
    shutil.copytree(settings.keys, tmp_path / "keys-before")
    for origin in (NEW, "second.example/custody"):
        rename_origin(settings, origin)
    today = KeyRing.load(settings.keys).get_verify_key("log")
    shutil.rmtree(settings.keys)
    shutil.copytree(tmp_path / "keys-before", settings.keys)
    office = Office.open(settings)
    with pytest.raises(OriginChangedError):
        publish_head(office.catalogue, office.signer)
    office.close()
    done = run(settings.home, "log", "rename-origin")  # as that refusal says
    assert done.returncode == 0, done.err
    assert KeyRing.load(settings.keys).get_verify_key("log") == today
    assert today.names == (SHARED_ORIGIN, NEW, "second.example/custody")
    assert run(settings.home, "verify", "--all").returncode == 0


def test_the_command_makes_an_origin_up_once_and_refuses_the_shared_one(tmp_path):
    desk = of_before(tmp_path)
    home = desk.office.settings.home
    desk.office.close()
    told = {one["name"]: one for one in json.loads(run(home, "doctor", "--json").out)}
    assert not told["log origin"]["good"]
    assert "liuhen log rename-origin" in told["log origin"]["zh"]
    done = run(home, "log", "rename-origin", "--json")
    assert done.returncode == 0, done.err
    origin = json.loads(done.out)["origin"]
    assert origin.endswith(".invalid/custody")
    assert origin != SHARED_ORIGIN
    again = run(home, "log", "rename-origin", "--json")
    assert json.loads(again.out)["origin"] == origin
    for refused in (SHARED_ORIGIN, "a b", "a+b", "https://a.example/log", ""):
        assert run(home, "log", "rename-origin", refused).returncode == 1
    assert run(home, "log", "checkpoint").out.startswith(f"{origin}\n")


def test_an_enrolled_station_follows_the_log_to_its_new_origin(tmp_path):
    county = County.found(tmp_path / "county")
    township = Township(tmp_path / "town", "dock-1")
    settings = county.desk.office.settings
    with county.serve():
        township.enrol(county)
    old = KeyRing.load(township.settings.home / "keys").get_verify_key("log")
    county.desk.office.close()
    rename_origin(settings, NEW)
    county.desk = reopened(county.desk)
    with county.serve(), township.open() as home:
        dock_at(township, home)
        assert home.deliver().accessioned > 0
        assert home.station.log_key.names == (old.name, NEW)
    assert KeyRing.load(township.settings.home / "keys").get_verify_key("log").names == (
        old.name,
        NEW,
    )
    with county.serve(), township.open() as home:  # as after a start
        home.report()
        assert home.centre.client.origins[-1] == NEW
    county.desk.office.close()


def dock_at(township, home):
    from api.office.samples.sample_volume import write_segments

    (bay,) = home.bays()[:1]
    write_segments(bay.root, FIRST, [segment(0, 2)])
    for _ in range(3):
        home.station.sweep_bay(bay)


def test_a_station_follows_nobody_else(renamed):
    from dataclasses import replace

    from storage.catalogue.proofs.log_origin import origin_changes
    from storage.custody.origin import follow_origin

    desk, *_ = renamed
    known = KeyRing.load(desk.office.settings.home.parent / "keys-before").get_verify_key("log")
    key = desk.office.ring.get_verify_key("log")
    with desk.office.catalogue.read() as session:
        (change,) = origin_changes(session, LogReader(session).find_newest_checkpoint())
    assert follow_origin(known, key, [change]) == key
    stranger = desk.office.ring.get_verify_key("centre")
    for told, changes in (
        (replace(stranger, name=NEW, former=key.former), [change]),
        (replace(key, name="other.example/log"), [change]),
        (replace(key, former=(replace(key.former[0], size=1),)), [change]),
        (key, []),
        (key, [replace(change, details=change.details | {"origin": "x.example/log"})]),
        (key, [replace(change, proof=change.proof.replace("index ", "index 1"))]),
    ):
        with pytest.raises((SignatureError, CustodyError)):
            follow_origin(known, told, changes)
