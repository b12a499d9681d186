"""A log that contradicts itself is named by a replay; one told anew, by heads from outside."""

import json
import os
import shutil
import zipfile

import pytest
from sqlalchemy import select

from api.office.evidence.export import export_bundle
from api.office.evidence.log_check import HeadState, check_heads, log_in_files, log_of_office
from api.office.service import Service
from api.office.wiring import Office
from api.station import log_acceptance
from ingest.station.delivery.witness import FOLLOW, Witness
from ingest.station.journal import Journal
from storage.bundle.verify import verify
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.proofs import proven_rows
from storage.catalogue.stations.journal_store import JournalStore
from storage.catalogue.tables import ActionRow
from storage.errors import CustodyError, LogContradictedError
from tests.attacks.log_lies import AGAINST_HEADS, IN_EXPORT, IN_LOG, LogInHand
from tests.command import run
from tests.office import Desk, settings_for
from tests.sampling import sample
from tests.third_party.test_verify_bundle import refused

HEADS = {one.name: one for one in AGAINST_HEADS}
LIES = {one.name: one for one in IN_LOG}
ALWAYS = [one for one in LIES if "another" in one]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    desk = Desk.set_up(folder, database_url=None)
    case, action = desk.seizure()
    desk.service.publish_checkpoint()
    return desk.rest(), case, action


@pytest.fixture
def log(template, tmp_path):
    made, case, action = template
    shutil.copytree(made.folder, tmp_path / "office")
    office = Office.open(settings_for(tmp_path / "office", database_url=None))
    found = LogInHand(Desk(office, Service.of_office(office), dict(made.persons)), case, action)
    yield found
    found.desk.office.close()


def faults(log):
    here = log_of_office(log.desk.office)
    return [one.kind for one in here.replayed(lambda _count: None)]


def test_a_log_that_nobody_touched_replays_whole(log):
    log.record(f"case:{log.case}", heads=[f"action:{log.action}"])
    log.sign()
    assert faults(log) == []


@pytest.mark.parametrize("name", sample(LIES, ALWAYS, 4))
def test_a_replay_names_what_contradicts_itself(name, log):
    lie = LIES[name]
    lie.do(log)
    assert lie.check.removeprefix("log replay: ") in faults(log)


@pytest.mark.parametrize("name", [one for one in HEADS if "kept outside" in one])
def test_a_history_told_anew_replays_whole_and_contradicts_a_head_kept_outside(name, log, tmp_path):
    attack, home = HEADS[name], log.desk.office.settings.home
    agreed = tmp_path / "agreed"
    agreed.write_text(log.sign())
    shutil.copytree(home, tmp_path / "copy")
    log.record(f"case:{log.case}", said="so")
    kept = tmp_path / "kept"
    kept.write_text(log.sign())
    shutil.copytree(home / "log", tmp_path / "static")
    key = log.desk.office.ring.get_verify_key("log")
    control = check_heads(log_of_office(log.desk.office), [agreed, kept])
    assert (control.exit_status, {one.state for one in control.heads}) == (
        0,
        {HeadState.CONSISTENT},
    )
    other = attack.do(log, tmp_path / "copy")
    try:
        assert faults(other) == []
        found = check_heads(log_of_office(other.desk.office), [agreed, kept])
        told = attack.check.removeprefix("log check --against: ")
        assert (found.exit_status, [one.state for one in found.heads]) == (1, ["consistent", told])
        assert found.heads[1].after == found.heads[0].size
        # Whoever has but the static files and the log's key sees the same.
        files = check_heads(log_in_files(home / "log", key), [agreed, kept])
        assert [one.state for one in files.heads] == [one.state for one in found.heads]
        assert check_heads(log_in_files(tmp_path / "static", key), [kept]).exit_status == 0
    finally:
        other.desk.office.close()


@pytest.mark.parametrize("name", [one for one in HEADS if "a station saw" in one])
def test_a_station_holds_the_centre_to_the_head_that_it_saw(name, log, tmp_path):
    attack, home = HEADS[name], log.desk.office.settings.home
    journal = Journal(JournalStore(tmp_path / "station.db"), log.desk.office.clock)

    def witness(of):
        office = of.desk.office
        return Witness(
            "station-1", journal, office.centre, lambda: office.ring.get_verify_key("log")
        )

    shutil.copytree(home, tmp_path / "copy")
    log.record(f"case:{log.case}", said="so")
    first = log.sign()
    witness(log).check_log(first)
    log.record(f"case:{log.case}")
    witness(log).check_log(log.sign())
    assert witness(log).alarm is None
    other = attack.do(log, tmp_path / "copy")
    try:
        with pytest.raises(LogContradictedError) as error:
            witness(other).check_log(other.sign())
        assert error.value.code.removeprefix("log-") in attack.check
        assert witness(other).alarm is not None
    finally:
        other.desk.office.close()
        journal.close()


def test_an_embedded_office_goes_on_after_an_alarm_when_a_person_says_why(log, tmp_path):
    """Its own station keeps its journal in its home: an alarm there had no way out."""
    home, name = log.desk.office.settings.home, "whole log: told anew and signed, a station saw"
    (attack,) = (one for key, one in HEADS.items() if key.startswith(name))
    shutil.copytree(home, tmp_path / "copy")

    def witness(of):
        office = of.desk.office
        key = office.ring.get_verify_key("log")
        return Witness(office.settings.station, office.journal, office.centre, lambda: key)

    log.record(f"case:{log.case}", said="so")
    witness(log).check_log(log.sign())
    seen = tmp_path / "station.db"
    log.desk.office.close()
    shutil.copy(home / "station.db", seen)
    other = attack.do(log, tmp_path / "copy")
    other.desk.office.close()
    shutil.copy(seen, home / "station.db")  # the log was put back, the station's memory was not
    office = Office.open(other.desk.office.settings)
    again = LogInHand(Desk(office, Service.of_office(office)), log.case, log.action)
    try:
        with pytest.raises(LogContradictedError):
            witness(again).check_log(again.sign())
        told = log_acceptance.accept_centre_log(office.settings, "数据库从备份恢复,沈明核准")
        assert told["shown"] > told["seen"]
        assert witness(again).alarm is None
        witness(again).check_log(again.sign())
        with office.catalogue.read() as session:
            rows = LogReader(session).events_of(f"station:{office.settings.station}", act=FOLLOW)
            assert [row.details["reason"] for row in rows] == ["数据库从备份恢复,沈明核准"]
        with pytest.raises(CustodyError):
            log_acceptance.accept_centre_log(office.settings, "again")
    finally:
        office.close()


def test_a_replay_of_static_files_needs_no_office(log, tmp_path):
    log.sign()
    shutil.copytree(log.desk.office.settings.home / "log", tmp_path / "static")
    here = log_in_files(tmp_path / "static", log.desk.office.ring.get_verify_key("log"))
    assert [one.kind for one in here.replayed(lambda _count: None)] == []
    (entries,) = (tmp_path / "static" / "tile" / "entries").rglob("*.p/*")
    data = entries.read_bytes()
    entries.write_bytes(data.replace(b'"outcome":"success"', b'"outcome":"refused"', 1))
    found = {one.kind for one in here.replayed(lambda _count: None)}
    assert found == {"not-in-tree", "not-following", "false-root"} | (found & {"false-head"})


@pytest.mark.parametrize("lie", IN_EXPORT, ids=lambda one: one.name)
def test_what_takes_a_row_away_is_in_the_chains_of_what_the_row_was_about(
    lie, seizure_bundle, tmp_path, monkeypatch
):
    shutil.copytree(seizure_bundle.keys.parent, tmp_path / "var", symlinks=True)
    office = Office.open(settings_for(tmp_path, database_url=None))
    try:
        with office.catalogue.read() as session:
            (action,) = session.scalars(select(ActionRow))
        log = LogInHand(Desk(office, Service.of_office(office)), action.case_id, action.id)
        visitor = log.desk.visitor("zhang")
        export_bundle(log.desk.service, visitor, log.case, tmp_path / "control", sealed=True)
        assert verify(tmp_path / "control", seizure_bundle.keys).passed
        lie.do(log)
        assert "wrong-subject" in faults(log)
        # A program changed by whoever lies so compares no row before it exports.
        monkeypatch.setattr(proven_rows, "require_case", lambda *_: None)
        export_bundle(log.desk.service, visitor, log.case, tmp_path / "bag", sealed=True)
        report = verify(tmp_path / "bag", seizure_bundle.keys)
        failed = {check.name: check.problems for check in report.checks if not check.passed}
        assert any("and not in its chain" in one for one in failed["chains"]), report.format_lines()
        assert "leaves a chain" in refused(tmp_path / "bag", seizure_bundle.keys)[1]
        assert refused(tmp_path / "control", seizure_bundle.keys)[0] == set()
    finally:
        office.close()


def test_hostile_files_are_told_one_by_one_and_the_others_checked(log, tmp_path):
    heads = tmp_path / "heads"
    (heads / "empty").mkdir(parents=True)
    (heads / "a-head").write_text(log.sign())
    (heads / "long").write_bytes(b"a" * (2 << 20))
    (heads / "bytes").write_bytes(bytes(range(256)))
    (heads / "deep.json").write_text('{"a":' * 50_000)
    (heads / "none.json").write_text('{"body":{"proof":7}}')
    (heads / "proof").write_text("c2sp.org/tlog-proof@v1\nindex x\n\n")
    with zipfile.ZipFile(heads / "none.zip", "w") as archive:
        archive.writestr("bag/data/custody/checkpoint", "x" * (3 << 20))
        archive.writestr("bag/other", "x")
    (heads / "cut.zip").write_bytes((heads / "none.zip").read_bytes()[:-30])
    (heads / "link").symlink_to(heads)
    os.mkfifo(heads / "pipe")
    (heads / "\x1b[31mred\udcff").write_text("no head")
    shutil.copytree(heads / "empty", heads / "bundle")
    (heads / "bundle" / "bagit.txt").touch()
    (heads / "bundle" / "data" / "custody").mkdir(parents=True)
    os.mkfifo(heads / "bundle" / "data" / "custody" / "checkpoint")
    found = check_heads(log_of_office(log.desk.office), [heads, tmp_path / "nowhere"])
    states = {one.where.removeprefix(f"{heads}/"): one.state for one in found.heads}
    assert states.pop("a-head") is HeadState.CONSISTENT
    assert "link" not in states
    assert len(states) == 12
    assert all(one.where.isprintable() for one in found.heads)
    assert set(states.values()) == {HeadState.UNREADABLE}
    assert all(one.problem for one in found.heads if one.state is HeadState.UNREADABLE)
    assert found.exit_status == 3


def test_heads_in_bundles_and_receipts_are_checked_and_strange_keys_told(
    log, seizure_bundle, tmp_path
):
    assert verify(seizure_bundle.folder, seizure_bundle.keys).passed
    shutil.make_archive(str(tmp_path / "bag"), "zip", seizure_bundle.folder.parent, "bag")
    office = Office.open(settings_for(seizure_bundle.keys.parents[1]))
    try:
        here = log_of_office(office)
        for given in (seizure_bundle.folder, tmp_path / "bag.zip"):
            found = check_heads(here, [given])
            assert (found.exit_status, len(found.heads)) == (
                0,
                4,
            )  # the bundle's, and three receipts'
        receipts = sorted(seizure_bundle.folder.rglob("receipt.json"))
        assert check_heads(here, receipts).exit_status == 0
    finally:
        office.close()
    strange = check_heads(log_of_office(log.desk.office), [tmp_path / "bag.zip"])
    assert (strange.exit_status, {one.state for one in strange.heads}) == (
        3,
        {HeadState.UNKNOWN_KEY},
    )


def test_both_commands_tell_programs_and_people(log, tmp_path):
    head = tmp_path / "head"
    head.write_text(log.sign())
    settings = log.desk.office.settings
    log.desk.office.close()
    home, nowhere = settings.home, tmp_path / "nowhere" / "var"
    nowhere.parent.mkdir()
    done = run(home, "log", "replay", "--json")
    told = json.loads(done.out)
    assert (done.returncode, told["whole"], told["faults"]) == (0, True, 0)
    done = run(home, "log", "check", "--against", head, tmp_path / "no")
    assert (done.returncode, "一致 consistent" in done.out) == (3, True)
    static = ("--log", home / "log", "--key", settings.keys / "log.verify")
    done = run(nowhere, "log", "check", "--against", head, *static, "--json")
    assert (done.returncode, json.loads(done.out)["status"]) == (0, 0)
