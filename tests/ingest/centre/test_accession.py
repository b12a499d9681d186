"""An accession that is crossed, cut short or late: nothing is entered that is not there.

A station that enrolled delivers over real HTTPS; the centre's steps are where others come between.
"""

import hashlib
import os
import threading
from datetime import timedelta

import pytest

from api.jobs.attempt import Runner
from api.office.evidence.integrity_check import whole_check
from ingest.station.clear import Clearing, When
from ingest.station.delivery.centre_client import CentreRefusedError
from ingest.station.journal import State
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs
from storage.catalogue.log import custody_log
from storage.catalogue.recordings import recordings
from storage.custody.entries.event import PremisType
from storage.digest import Digest
from storage.errors import ConflictError
from storage.record import RECORD_DOMAIN
from storage.signed import canonical
from storage.signed.signing import sign_document
from storage.vault.objects import ENVELOPE, PARTS, PAYLOAD, RECORD, key_of
from tests.township import County, Township, sweep

PATIENCE_S = 20


class KilledError(Exception):
    """The centre's process ended here."""


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    county = County.found(tmp_path_factory.mktemp("county"))
    with county.serve():
        yield county
    county.desk.office.close()


@pytest.fixture
def office(county):
    yield county.desk.office
    county.desk.office.centre.on_step = lambda _step: None


@pytest.fixture
def home(county, tmp_path, request):
    """A station with one sealed file in its spool."""
    name = "s-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    township = Township(tmp_path, name)
    township.enrol(county)
    size = 3000 + int.from_bytes(os.urandom(2))  # of its own: what others hold answers for none
    (township.bay("bay-1") / "a.bin").write_bytes(os.urandom(size))
    with township.open() as home:
        sweep(home)
        yield home


@pytest.fixture
def entry(home):
    (entry,) = home.journal.in_state(State.SEALED)
    return entry


@pytest.fixture
def uploaded(office, home, entry):
    """The payload came whole, and its station fell silent before the accession."""
    data = (home.settings.home / "spool" / str(entry.recording) / PAYLOAD).read_bytes()
    home.centre.client.begin_upload(entry.recording, len(data), Digest.compute(data), data)
    office.centre._read_back.clear()  # another process, by now
    return entry.recording


@pytest.fixture
def again(county, home, tmp_path_factory):
    """Another station, with the same file of the same source sealed in its spool."""
    other = Township(tmp_path_factory.mktemp("other"), f"other-{os.urandom(4).hex()}")
    other.enrol(county)
    original = (home.settings.bays["bay-1"] / "a.bin").read_bytes()
    (other.bay("bay-1") / "a.bin").write_bytes(original)
    with other.open() as there:
        sweep(there)
        yield there


def row_of(office, recording):
    with office.catalogue.read() as session:
        return recordings.find_recordings(session, [str(recording)]).get(str(recording))


def acts(office, recording):
    with office.catalogue.read() as session:
        events = custody_log.LogReader(session).events_of(Subject.of_recording(recording))
        return [event.act for event in events]


def at_step(office, step, act):
    """Do something once, when the centre comes to this step."""
    left = [act]

    def on_step(name):
        if name == step and left:
            left.pop()()

    office.centre.on_step = on_step


def meanwhile(act):
    """Do it in another thread, and wait for its end; return what it returned."""
    found = []
    thread = threading.Thread(target=lambda: found.append(act()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return found[0] if found else None


@pytest.fixture
def run_sweep(office):
    """Run the sweep as it is when the payload has lain there for longer than the grace."""
    runner = Runner(office)
    with office.catalogue.write() as uow:
        runner.life = jobs.register_worker(uow, uow.new_id(), over=None)

    def run():
        with office.catalogue.write() as uow:
            job = jobs.request_job(uow, "sweep", "system", actor="system").id
        assert runner.run(job, 1) == "done"
        with office.catalogue.read() as session:
            return jobs.by_id(session, job).result

    def old_sweep():
        run()
        with office.catalogue.write() as uow:
            last = jobs.newest_done(uow.session, "sweep")
            long_ago = uow.at - timedelta(days=office.settings.sweep_days, hours=1)
            since = dict.fromkeys(last.result["orphans"], long_ago.isoformat())
            last.result = last.result | {"orphans": since}
        return run()

    return old_sweep


def delivered(home):
    """Deliver as a station does that began anew: it remembers no refusal."""
    home.delivery._refused.clear()
    return home.deliver()


def check_delivered(county, office, home, recording):
    assert delivered(home).accessioned == 1
    (entry,) = home.journal.in_state(State.ACCESSIONED)
    assert entry.recording == recording
    assert row_of(office, recording).receipt_text == entry.receipt.decode()
    assert list(whole_check(office)) == []


# The sweep


def test_what_was_swept_after_its_verification_is_not_entered_and_comes_again(
    county, office, home, entry, uploaded, run_sweep
):
    swept = []
    at_step(office, "envelope-stored", lambda: swept.append(meanwhile(run_sweep)))
    tally = home.deliver()
    assert [str(uploaded) in one["removed"] for one in swept] == [True]
    assert (tally.accessioned, tally.refused) == (0, 1)
    assert row_of(office, uploaded) is None
    check_delivered(county, office, home, uploaded)


def test_what_is_swept_while_its_accession_waits_is_not_entered_and_comes_again(
    county, office, home, entry, uploaded, run_sweep, monkeypatch
):
    """The sweep has its turn and deletes; the accession, long verified, waits for its own."""
    deleting, verified, told = threading.Event(), threading.Event(), []
    delete = office.objects.delete

    def slow_delete(key, at):
        deleting.set()
        assert verified.wait(PATIENCE_S)
        delete(key, at)

    sweeper = threading.Thread(target=lambda: told.append(run_sweep()))

    def begin_sweep():
        monkeypatch.setattr(office.objects, "delete", slow_delete)
        sweeper.start()
        assert deleting.wait(PATIENCE_S)
        verified.set()  # whether we wait for our turn by then, or ask after it, is the same

    at_step(office, "envelope-stored", begin_sweep)
    assert home.deliver().refused == 1
    sweeper.join(PATIENCE_S)
    monkeypatch.setattr(office.objects, "delete", delete)
    assert str(uploaded) in told[0]["removed"]
    assert row_of(office, uploaded) is None
    check_delivered(county, office, home, uploaded)


def test_what_was_accessioned_after_the_sweep_said_so_is_not_removed(
    county, office, home, entry, uploaded, run_sweep, monkeypatch
):
    """Between the entry of the sweep and its turn to delete."""
    write, told = office.catalogue.write, []
    announced = threading.Event()

    def accession_between(*given):
        if announced.is_set() and not told:
            told.append(None)
            told[0] = delivered(home).accessioned
        return write(*given)

    record = custody_log.LogWriter.append

    def noting(self, event, *given):
        if event.act == "object.sweep":
            announced.set()
        return record(self, event, *given)

    monkeypatch.setattr(custody_log.LogWriter, "append", noting)
    monkeypatch.setattr(office.catalogue, "write", accession_between)
    removed = run_sweep()["removed"]
    assert (removed, told) == ([], [1])
    assert "object.sweep" in acts(office, uploaded)
    assert list(whole_check(office)) == []


# Others who give an attempt up


def test_what_was_discarded_after_its_verification_is_not_entered(
    county, office, home, entry, uploaded
):
    at_step(office, "envelope-stored", lambda: office.centre.discard_attempt(uploaded))
    assert home.deliver().refused == 1
    assert row_of(office, uploaded) is None
    check_delivered(county, office, home, uploaded)


def test_a_record_that_gave_way_meanwhile_is_not_entered(county, office, home, entry, uploaded):
    """Two accessions of one recording, its record signed again in between."""
    body = canonical.decode(entry.record)["body"] | {"software": "another"}
    other = sign_document(home.station.seal.key, RECORD_DOMAIN, body)
    at_step(office, "envelope-stored", lambda: office.centre._put_record(entry.recording, other))
    assert home.deliver().refused == 1
    assert row_of(office, uploaded) is None
    check_delivered(county, office, home, uploaded)


# A receipt that was never given


@pytest.fixture
def cut_short(office, home, entry):
    """The row is committed; then the centre was killed."""

    def kill():
        raise KilledError

    at_step(office, "catalogued", kill)
    home.deliver()
    assert row_of(office, entry.recording).receipt_text is None
    return entry.recording


@pytest.mark.parametrize("lost", [(PAYLOAD,), (RECORD,), (ENVELOPE,), PARTS])
def test_what_was_lost_before_its_receipt_was_given_is_delivered_again(
    county, office, home, cut_short, lost
):
    for part in lost:
        office.objects.delete(key_of(cut_short, part), office.clock())
    check_delivered(county, office, home, cut_short)


def test_a_lost_payload_comes_again_in_pieces_too(county, office, home, cut_short):
    office.objects.delete(key_of(cut_short, PAYLOAD), office.clock())
    home.centre._begun.add(cut_short)
    check_delivered(county, office, home, cut_short)


def test_only_the_bytes_that_were_sealed_come_again(county, office, home, cut_short):
    office.objects.delete(key_of(cut_short, PAYLOAD), office.clock())
    client, other = home.centre.client, os.urandom(3000)
    for whole in (other, None):
        with pytest.raises(CentreRefusedError) as refused:
            client.begin_upload(cut_short, len(other), Digest.compute(other), whole)
        assert refused.value.code == "conflict"
    check_delivered(county, office, home, cut_short)


def test_another_station_does_not_bring_what_was_lost(county, office, home, cut_short):
    office.objects.delete(key_of(cut_short, PAYLOAD), office.clock())
    data = (home.settings.home / "spool" / str(cut_short) / PAYLOAD).read_bytes()
    with pytest.raises(ConflictError):
        office.uploads.begin_upload("another", cut_short, len(data), Digest.compute(data))
    check_delivered(county, office, home, cut_short)


def test_other_bytes_in_the_payloads_place_get_no_receipt(county, office, home, cut_short):
    key = key_of(cut_short, PAYLOAD)
    size = office.objects.facts(key).size
    office.objects.delete(key, office.clock())
    office.objects.put(key, [os.urandom(size)])
    assert delivered(home).accessioned == 0
    assert row_of(office, cut_short).receipt_text is None
    office.objects.delete(key, office.clock())
    check_delivered(county, office, home, cut_short)


def test_another_stations_payload_is_not_thrown_away_for_one_that_is_lost(
    county, office, home, again, cut_short
):
    """It is not taken under another id, for the first one may still come; it stays until then."""
    office.objects.delete(key_of(cut_short, PAYLOAD), office.clock())
    (entry,) = again.journal.in_state(State.SEALED)
    assert again.deliver().refused == 1
    assert office.centre._has_object(entry.recording, PAYLOAD)
    check_delivered(county, office, home, cut_short)
    assert delivered(again).accessioned == 1
    (entry,) = again.journal.in_state(State.DUPLICATE)
    assert entry.facts["recording"] == str(cut_short)
    assert not office.centre._has_object(entry.recording, PAYLOAD)


# What was destroyed


def destroy(office, recording):
    """Pass the point of no return, as `storage/upkeep/destruction.py` does it."""
    with office.catalogue.write() as uow:
        row = recordings.by_id(uow.session, recording)
        row.destroyed_at, row.envelope_text = uow.at, ""
        subject = Subject.of_recording(recording)
        uow.record("recording.destroy", PremisType.DELETION, row, actor="system", subject=subject)


@pytest.fixture
def destroyed(office, home, entry):
    assert home.deliver().accessioned == 1
    destroy(office, entry.recording)
    return entry


def test_a_destroyed_recording_answers_no_station(office, home, destroyed):
    row = row_of(office, destroyed.recording)
    original = Digest.compute((home.settings.bays["bay-1"] / "a.bin").read_bytes())
    assert not home.centre.holds_size(row.source_serial, row.size)
    assert home.centre.receipt_for(row.source_serial, original) is None


@pytest.mark.parametrize("docking", ["the same", "another"])
def test_the_same_station_clears_nothing_for_the_receipt_of_what_was_destroyed(
    county, office, home, destroyed, docking
):
    """Its journal holds the old receipt; the file may be the last copy there is."""
    film = home.settings.bays["bay-1"] / "a.bin"
    data = film.read_bytes()
    home.station.clearing = Clearing(When.AT_ONCE)
    if docking == "another":
        for bay in home.bays():
            home.station.forget_docking(bay)
    sweep(home, 3)
    assert film.read_bytes() == data
    assert {one.state for one in home.journal.of_source(destroyed.source)} == {State.SEALED}
    assert home.deliver().accessioned == 1
    (fresh,) = [row for row in county.rows() if row.sha256 == sha256(data) and not row.destroyed_at]
    assert fresh.id != str(destroyed.recording)
    sweep(home, 2)
    assert not film.exists()  # for a receipt of its own, by now


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_what_was_destroyed_is_not_taken_again_under_its_old_id(office, home, destroyed):
    data = os.urandom(100)
    for ask in (
        lambda: home.centre.client.begin_upload(
            destroyed.recording, 100, Digest.compute(data), data
        ),
        lambda: home.centre.client.begin_upload(
            destroyed.recording, 100, Digest.compute(data), None
        ),
        lambda: home.centre.client.request_json(
            "POST",
            "/accessions",
            {"record": destroyed.record.decode(), "envelope": destroyed.envelope.decode()},
        ),
    ):
        with pytest.raises(CentreRefusedError) as refused:
            ask()
        assert refused.value.code == "destroyed"


def test_bytes_docked_again_after_their_destruction_are_a_new_recording(office, destroyed, again):
    """At another station: what its own journal says of the receipt is another matter."""
    row = row_of(office, destroyed.recording)
    assert again.deliver().accessioned == 1
    (entry,) = again.journal.in_state(State.ACCESSIONED)
    new = row_of(office, entry.recording)
    assert (new.id != row.id, new.sha256, new.source_serial) == (
        True,
        row.sha256,
        row.source_serial,
    )
    with office.catalogue.read() as session:
        told = custody_log.LogReader(session).get_event(new.leaf_index)
    assert (told.act, told.details["repeats"]) == ("recording.accession", row.id)
    assert office.centre._has_object(entry.recording, PAYLOAD)


def test_an_accession_that_its_destruction_overtook_gets_no_receipt(office, home, entry):
    at_step(office, "locked", lambda: destroy(office, entry.recording))
    assert home.deliver().accessioned == 0
    assert row_of(office, entry.recording).receipt_text is None
