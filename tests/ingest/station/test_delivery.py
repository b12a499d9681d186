"""A station with a link to the centre: enrol, seal to the spool, deliver, be believed or refused."""

import hashlib
import os
from datetime import timedelta

import pytest

from api.office.evidence.integrity_check import whole_check
from api.office.samples.sample_volume import write_segments
from api.problems import reason_zh
from ingest.bays.bay import BayState, Outcome
from ingest.sources.profile_files import ProfileError
from ingest.station.clear import When
from ingest.station.delivery.centre_client import CentreRefusedError
from ingest.station.journal import State
from storage.catalogue.stations import enrolment
from storage.digest import Digest
from storage.errors import EnrolmentError
from storage.recording import new_recording_id
from tests.office import FIRST, segment
from tests.township import County, Township, sweep


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    county = County.found(tmp_path_factory.mktemp("county"))
    with county.serve():
        yield county
    county.desk.office.close()


@pytest.fixture
def township(county, tmp_path, request) -> Township:
    name = "s-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    township = Township(tmp_path, name)
    township.enrol(county)
    return township


def dock(township, *starts: float, recorder=FIRST, bay="bay-1"):
    return write_segments(township.bay(bay), recorder, [segment(start, 3) for start in starts])


def shown(home):
    return BayState(next(bay.state for bay in home.journal.list_bays() if bay.name == "bay-1"))


def test_what_is_docked_is_sealed_then_delivered_then_safe_to_remove(county, township):
    dock(township, 0, 5)
    before = len(county.rows())
    with township.open() as home:
        assert {result.outcome for result in sweep(home)} == {Outcome.SEALED}
        assert shown(home) is BayState.DELIVERING
        assert len(county.rows()) == before
        assert home.spool()["waiting"] == len(home.journal.in_state(State.SEALED)) > 0
        tally = home.deliver()
        assert (tally.away, tally.waiting, tally.refused) == (None, 0, 0)
        assert {result.outcome for result in sweep(home, 1)} <= {
            Outcome.ACCESSIONED,
            Outcome.DUPLICATE,
        }
        assert shown(home) is BayState.ACCESSIONED
        sweep(home, 1)  # and only a look that finds nothing left to do makes it safe
        assert shown(home) is BayState.SAFE
        assert home.centre.spool.list_recordings() == []
    new = county.rows()[before:] if before else county.rows()
    assert tally.accessioned == len(county.rows()) - before
    assert all(row.receipt_text for row in new)


def test_a_stations_own_recorder_profile_names_what_its_recorder_brings(county, township):
    own = township.settings.home / "profiles"
    own.mkdir()
    (own / "ex9.yaml").write_text("family: ex9\n")
    for _ in range(2):  # refused before the home is taken in hand, so as often as one likes
        with pytest.raises(ProfileError), township.open():
            pass
    (own / "ex9.yaml").write_text(
        "{family: ex9, order: 18, names: ['EX9-(?P<serial>[0-9]{7})\\.mp4'], kind: recorder,"
        " start_format: '%Y%m%d%H%M%S', zone: Asia/Shanghai, rollover_s: 2.0}"
    )
    film, *_ = [path for path in dock(township, 400) if path.suffix.lower() == ".mp4"]
    film.rename(township.bay("bay-1") / "EX9-0000077.mp4")
    with township.open() as home:
        sweep(home)
        home.deliver()
    (row,) = [row for row in county.rows() if row.name == "EX9-0000077.mp4"]
    assert (row.profile, row.station) == ("ex9", township.name)
    assert "0000077" in row.record_text


def test_everything_delivered_verifies_at_the_centre(county, township):
    dock(township, 100)
    with township.open() as home:
        sweep(home)
        home.deliver()
    assert list(whole_check(county.desk.office)) == []


def test_a_source_is_cleared_only_after_the_receipt_and_the_log_hears_of_it(county, tmp_path):
    township = Township(tmp_path, "s-clearing", {"clear": When.AT_ONCE})
    township.enrol(county)
    files = dock(township, 200)
    before = county.acts("source.clear")
    with township.open() as home:
        sweep(home)
        assert all(file.exists() for file in files)
        home.deliver()
        assert all(file.exists() for file in files)
        sweep(home)
        assert not any(file.exists() for file in files)
        home.deliver()
        home.deliver()
    assert county.acts("source.clear") > before


def test_the_same_recorder_at_another_station_makes_no_second_recording(county, township, tmp_path):
    dock(township, 300)
    with township.open() as home:
        sweep(home)
        home.deliver()
    count = len(county.rows())
    other = Township(tmp_path / "other", township.name + "-b")
    other.enrol(county)
    dock(other, 300)
    with other.open() as home:
        outcomes = {result.outcome for result in sweep(home)}
        assert outcomes == {Outcome.DUPLICATE}
    assert len(county.rows()) == count


def test_a_duplicate_sealed_while_offline_gets_the_first_receipt(county, township, tmp_path):
    dock(township, 400)
    other = Township(tmp_path / "other", township.name + "-b")
    other.enrol(county)
    dock(other, 400)
    with township.open() as home, other.open() as away:
        away.centre._away_until = float("inf")
        assert {result.outcome for result in sweep(away)} == {Outcome.SEALED}
        sweep(home)
        home.deliver()
        count = len(county.rows())
        assert away.deliver().refused == 0
        assert {result.outcome for result in sweep(away)} == {Outcome.DUPLICATE}
        assert away.centre.spool.list_recordings() == []
    assert len(county.rows()) == count
    assert list(whole_check(county.desk.office)) == []


def test_a_code_serves_one_machine_once(county, tmp_path):
    code = county.code("s-once")
    first, second = Township(tmp_path / "a", "s-once"), Township(tmp_path / "b", "s-once")
    first.enrol(county, code=code)
    with pytest.raises(CentreRefusedError) as refused:
        second.enrol(county, code=code)
    assert refused.value.code == "enrolment-used"
    with first.open() as home:
        home.report()


def test_an_unknown_or_mistyped_code_is_refused(county, tmp_path):
    code = county.code("s-typo")
    other = ("B" if code[-1] != "B" else "C").join([code[:-1], ""])
    township = Township(tmp_path, "s-typo")
    with pytest.raises(EnrolmentError) as wrong_centre:
        township.enrol(county, code=other)
    assert wrong_centre.value.code == "enrolment-keys"
    with pytest.raises(CentreRefusedError) as unknown:
        township.enrol(county, code="s-typo/" + "-".join(["AAAA"] * 8))
    assert unknown.value.code == "enrolment-code"
    with pytest.raises(EnrolmentError):
        township.enrol(county, code="not a code")


def test_a_revoked_station_delivers_no_more_and_keeps_what_it_sealed(county, township):
    dock(township, 500)
    with township.open() as home:
        sweep(home)
        home.report()
        with county.desk.office.catalogue.write() as uow:
            assert enrolment.revoke_enrolments(uow, township.name, "stolen", actor="system") == 1
        count = len(county.rows())
        tally = home.deliver()
        assert tally.away == "enrolment-revoked"
        assert (len(county.rows()), tally.waiting > 0) == (count, True)
        assert home.centre.spool.list_recordings() != []
        assert "enrolment-revoked" in home.spool()["alarms"]
        # a new code mends it, under a new key, and nothing was lost
    township.enrol(county)
    with township.open() as home:
        tally = home.deliver()
        assert tally.away is None


def test_a_station_cannot_touch_what_is_anothers(county, township, tmp_path):
    other = Township(tmp_path / "other", township.name + "-b")
    other.enrol(county)
    with township.open() as home, other.open() as stranger:
        recording = new_recording_id(home.clock(), b"x" * 10)
        digest = Digest.compute(b"0" * (9 << 20))
        assert home.centre.client.begin_upload(recording, 9 << 20, digest, None) == 0
        with pytest.raises(CentreRefusedError) as foreign:
            stranger.centre.client.upload_offset(recording)
        assert foreign.value.code == "not-found"
        with pytest.raises(CentreRefusedError) as taken:
            stranger.centre.client.begin_upload(recording, 9 << 20, digest, None)
        assert taken.value.code == "conflict"


def test_another_stations_record_is_refused(county, township, tmp_path):
    dock(township, 600)
    other = Township(tmp_path / "other", township.name + "-b")
    other.enrol(county)
    with township.open() as home, other.open() as stranger:
        sweep(home)
        entry = home.journal.in_state(State.SEALED)[0]
        document = {"record": entry.record.decode(), "envelope": entry.envelope.decode()}
        with pytest.raises(CentreRefusedError) as refused:
            stranger.centre.client.request_json("POST", "/accessions", document)
        assert refused.value.code == "conflict"


def test_a_payload_that_is_not_what_was_announced_begins_anew(county, township):
    dock(township, 700)
    with township.open() as home:
        sweep(home)
        entry = home.journal.in_state(State.SEALED)[0]
        payload = home.settings.home / "spool" / str(entry.recording) / "payload"
        good = payload.read_bytes()
        payload.chmod(0o600)
        payload.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        count = len(county.rows())
        home.delivery.run()
        assert entry.id in home.delivery._refused
        assert not any(row.id == str(entry.recording) for row in county.rows())
        assert len(county.rows()) - count <= 1
        payload.write_bytes(good)
        home.delivery._refused.clear()
        assert home.delivery.run().refused == 0
        assert any(row.id == str(entry.recording) for row in county.rows())


def spooled(home, entry):
    return home.settings.home / "spool" / str(entry.recording) / "payload"


def rot(path):
    """Flip a bit in the middle, as a bad sector does."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_a_payload_that_rots_in_the_spool_is_sealed_anew_from_its_docked_recorder(county, township):
    (film, *_others) = dock(township, 720)
    with township.open() as home:
        sweep(home, 1)
        sweep(home, 1)
        for entry in home.journal.in_state(State.SEALED):
            rot(spooled(home, entry))
        assert home.deliver().refused > 0
        assert "spool-damaged" in home.spool()["alarms"]
        assert reason_zh("spool-damaged")
        assert not any(row.sha256 == sha256(film) for row in county.rows())
        for bay in home.bays():
            home.station.forget_docking(bay)  # undocked, and docked again
        sweep(home, 2)
        home.delivery._refused.clear()
        tally = home.deliver()
        assert (tally.refused, tally.waiting) == (0, 0)
        assert "spool-damaged" not in home.spool()["alarms"]
        assert {result.outcome for result in sweep(home, 1)} <= {"accessioned", "duplicate"}
    assert any(row.sha256 == sha256(film) for row in county.rows())
    assert list(whole_check(county.desk.office)) == []


def test_what_waits_in_the_spool_is_read_again_once_a_day(county, township):
    dock(township, 740)
    with township.open() as home:
        home.centre._away_until = float("inf")
        sweep(home, 2)
        entry = home.journal.in_state(State.SEALED)[0]
        for other in home.journal.in_state(State.SEALED)[1:]:
            home.delivery._read[other.id] = home.clock() + timedelta(days=9)
        home.delivery._read_one_again()
        good = spooled(home, entry).read_bytes()
        rot(spooled(home, entry))
        home.delivery._read_one_again()
        assert home.spool()["alarms"] == []  # not read since
        ahead = home.clock() + timedelta(days=1, minutes=1)
        home.delivery.clock = lambda: ahead
        home.delivery._read_one_again()
        assert home.spool()["alarms"] == ["spool-damaged"]
        spooled(home, entry).write_bytes(good)  # the disk reads it again
        ahead += timedelta(days=2)
        home.delivery._read_one_again()
        assert home.spool()["alarms"] == []


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("again", [False, True], ids=["delivered", "docked-again-first"])
def test_other_bytes_under_a_sealed_files_name_size_and_time_are_read_and_sealed_too(
    county, township, again
):
    """A dead clock and a counter that restarts: without a receipt the name alone was believed."""
    card = township.bay("bay-1")
    first, second = f"one {township.name}".encode(), f"two {township.name}".encode()

    def put(data):
        (card / "0001.MP4").write_bytes(data)
        os.utime(card / "0001.MP4", (1_700_000_000, 1_700_000_000))

    with township.open() as home:
        home.centre._away_until = float("inf")
        put(first)
        assert sweep(home, 3)[0].outcome == "sealed"
        for data in (second, first, second) if again else (second,):
            for bay in home.bays():
                home.station.forget_docking(bay)
            put(data)
            assert sweep(home, 3)[0].outcome == "sealed"
        assert len(home.journal.in_state(State.SEALED)) == 2
        home.centre._away_until = 0.0
        assert home.deliver().waiting == 0
    digests = {row.sha256 for row in county.rows()}
    assert {hashlib.sha256(data).hexdigest() for data in (first, second)} <= digests


def test_what_is_delivered_while_the_spool_is_counted_stops_no_sealing(county, township):
    """Seen with eight bays: a payload that went amid the count made another file unreadable."""
    dock(township, 780, 790, 800)
    with township.open() as home:
        sweep(home, 2)
        spool = home.centre.spool
        entries = home.journal.in_state(State.SEALED)
        assert len(entries) > 2
        keys = spool.objects.keys()
        first = next(keys)
        for entry in entries:
            if str(entry.recording) not in first:
                spool.remove_payload(entry.recording)
        assert list(keys) == []
        count = spool.objects.keys
        spool.objects.keys = lambda: [*count(), f"{entries[-1].recording}/payload"]
        assert spool.measure_used() > 0


def test_nothing_is_cleared_while_the_centre_cannot_say_that_it_holds_it(county, tmp_path):
    township = Township(tmp_path, "s-clear-asks", {"clear": When.AT_ONCE})
    township.enrol(county)
    (film, *_others) = dock(township, 760)
    with township.open() as home:
        sweep(home)
        home.deliver()
        home.centre._away_until = float("inf")
        sweep(home, 3)
        assert film.exists()
        assert shown(home) is BayState.SAFE
        home.centre._away_until = 0.0
        sweep(home, 1)
        assert not film.exists()


def test_an_assertion_serves_once(county, township):
    with township.open() as home:
        client = home.centre.client
        sent = []
        ask = client.wire.request_json

        class Spy:
            def __getattr__(self, name):
                return getattr(client_wire, name)

            def request_json(self, method, path, **more):
                sent.append(more)
                return ask(method, path, **more)

        client_wire = client.wire
        client.wire = Spy()
        home.report()
        form = next(more["form"] for more in sent if "form" in more)
        with pytest.raises(CentreRefusedError) as replayed:
            ask("POST", "/api/v1/token", form=form)
        assert replayed.value.code == "enrolment-replay"


def test_a_stations_clock_that_is_years_wrong_does_no_harm(county, township, monkeypatch):
    import datetime as dt

    from api.station import process as module

    wrong = lambda: dt.datetime.now(dt.UTC) - dt.timedelta(days=4000)  # noqa: E731
    monkeypatch.setattr(module, "clock", wrong)
    dock(township, 800)
    with township.open() as home:
        assert home.clock() < dt.datetime.now(dt.UTC) - dt.timedelta(days=3000)
        home.report()
        assert abs(home.clock() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
        assert "clock" in home.spool()["alarms"]
        sweep(home)
        assert home.deliver().away is None
    with township.open() as home:  # remembered for a start without a network
        assert abs(home.clock() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=10)
    newest = max(county.rows(), key=lambda row: row.accessioned_at)
    assert newest.receipt_text


def test_a_file_that_no_centre_would_take_stays_on_its_recorder(county, tmp_path, monkeypatch):
    township = Township(tmp_path, "s-large")
    township.enrol(county)
    (file,) = dock(township, 910)
    with township.open() as home:
        monkeypatch.setattr(
            "ingest.station.delivery.remote_centre.LARGEST", file.stat().st_size - 1
        )
        sweep(home)
        (entry,) = home.journal.in_state(State.QUARANTINED)
        assert (entry.size, entry.reason) == (file.stat().st_size, "too-large")
        assert "128 GiB" in reason_zh("too-large")
        home.deliver()
        assert home.journal.in_state(State.QUARANTINED) == [entry]
        assert file.exists()


def test_a_full_spool_stops_intake_and_touches_no_recorder(county, tmp_path):
    township = Township(tmp_path, "s-full", {"spool_gb": 0.0001})
    township.enrol(county)
    files = dock(township, 900, 905)
    with township.open() as home:
        sweep(home)
        bay = next(bay for bay in home.journal.list_bays() if bay.name == "bay-1")
        assert (bay.state, bay.reason) == (BayState.ATTENTION, "spool-full")
        assert all(file.exists() for file in files)
        assert home.spool()["used"] <= home.spool()["limit"]
