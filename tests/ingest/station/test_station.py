"""The station at its bays: what it takes, what it leaves, what it says, what it clears."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from api.office.founding import found_office, found_or_open
from api.office.station_parts import StationBusyError
from api.office.wiring import Office
from ingest.bays.bay import BayState
from ingest.bays.settle import Patience
from ingest.station.clear import When
from ingest.station.journal import State
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings
from storage.errors import EnvelopeError, OfficeExistsError, SignatureError
from storage.record import SealedRecord
from storage.signed.signing import SigningKey
from storage.vault.keys import KeyRing, OpenKey, Use
from storage.vault.objects import limit_lock_date
from storage.vault.sealing import seal_envelope
from tests.office import FIRST, SECOND, Desk, dock, segment, settings_for


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


def rows(desk):
    with desk.office.catalogue.read() as session:
        return list(recordings.iterate_recordings(session))


def events(desk, act):
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        return [e for e in (log.get_event(n) for n in range(log.size)) if e.act == act]


def shown(desk, bay="bay-1"):
    return next(row for row in desk.office.journal.list_bays() if row.name == bay)


def test_the_same_bytes_again_make_no_second_recording(desk):
    (path,) = dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep()
    before = len(rows(desk))
    path.rename(path.with_name("renamed.MP4"))
    (desk.bay("bay-1") / "copy.MP4").write_bytes(path.with_name("renamed.MP4").read_bytes())
    outcomes = [r.outcome for r in desk.sweep() if r.path.endswith(".MP4")]
    assert outcomes == ["duplicate", "duplicate"]
    assert len(rows(desk)) == before


def test_the_same_name_with_other_bytes_makes_another_recording(desk):
    path = desk.bay("bay-1") / "note.txt"
    path.write_text("one")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    desk.sweep()
    path.write_text("two")
    os.utime(path, (1_700_000_000, 1_700_000_000))  # FAT would not show a difference either
    desk.sweep()
    assert len({row.sha256 for row in rows(desk)}) == 2


def test_of_two_copies_the_one_whose_name_says_most_becomes_the_recording(desk):
    (path,) = dock(desk, "bay-1", FIRST, segment(0, 1))
    backup = desk.bay("bay-1") / "A_BACKUP"
    backup.mkdir()
    (backup / "0.MP4").write_bytes(path.read_bytes())
    desk.sweep()
    (video,) = [row for row in rows(desk) if row.kind == "video"]
    assert video.officer_no == FIRST.officer_no
    assert video.name == path.name


def test_a_second_process_is_not_this_homes_station_too(desk, tmp_path):
    desk.office.build_station()
    other = Office.open(desk.office.settings)
    with pytest.raises(StationBusyError):
        other.build_station()
    other.close()
    desk.office.close()
    again = Office.open(desk.office.settings)
    again.build_station()
    again.close()


def test_a_folder_that_cannot_be_read_is_no_green_light(tmp_path):
    # Root reads everything: an unprivileged child looks instead.
    folder = tmp_path / "bay"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed" / "a.mp4").write_bytes(b"x")
    (folder / "closed").chmod(0)
    for path in folder.parents:
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(0o755)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ingest.bays.watch import scan_root\n"
        "os.setgid(65534) or os.setuid(65534)\n"
        * (os.getuid() == 0)
        + "print([(type(i).__name__, i.reason.value) for i in scan_root(Path(sys.argv[1]))])\n"
    )
    if os.getuid() != 0:
        program = (
            "import sys\nfrom pathlib import Path\nfrom ingest.bays.watch import scan_root\n"
            + program
        )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[('Refused', 'unreadable')]"


def test_a_refusal_is_logged_once_a_docking_not_once_a_sweep(desk):
    (desk.bay("bay-1") / "link").symlink_to("/etc/passwd")
    for _ in range(3):
        desk.sweep()
    station = desk.office.build_station(patience=Patience(0, 1000))
    bay = desk.office.list_bays()[0]
    for _ in range(5):
        station.sweep_bay(bay)
    assert len(events(desk, "submission.refuse")) <= 4  # once for each station that was started
    assert shown(desk).state == BayState.ATTENTION


def test_a_source_is_cleared_at_once_only_where_the_setting_says_so(tmp_path):
    desk = Desk.set_up(tmp_path, clear=When.AT_ONCE)
    (path,) = dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep()
    assert not path.exists()
    assert len(events(desk, "source.clear")) == len(rows(desk)) == 2
    desk.office.close()


def test_a_clearing_cut_short_is_noted_in_whatever_bay_the_recorder_is_docked_next(tmp_path):
    desk = Desk.set_up(tmp_path, clear=When.AT_ONCE)
    (_path,) = dock(desk, "bay-1", FIRST, segment(0, 1))
    dock(desk, "bay-1", FIRST, segment(5, 1))

    class CutError(BaseException):
        pass

    def cut(step):
        if step == "unlinked":
            raise CutError

    desk.office.on_step = cut
    with pytest.raises(CutError):
        desk.sweep()
    desk.office.on_step = lambda _step: None
    (cleared,) = desk.office.journal.in_state(State.CLEARING)
    for left in sorted(desk.bay("bay-1").iterdir()):
        left.rename(desk.bay("bay-2") / left.name)
    desk.sweep()
    assert desk.office.journal.in_state(State.CLEARING) == []
    noted = {event.details["submission"] for event in events(desk, "source.clear")}
    assert cleared.id in noted
    desk.office.close()


def test_what_was_sealed_before_a_crash_is_delivered_without_the_source(desk):
    (path,) = dock(desk, "bay-1", FIRST, segment(0, 1))
    path.with_suffix(".log").unlink()  # small files beside it would get further meanwhile

    class CutError(BaseException):
        pass

    def cut(step):
        if step == "sealed":
            raise CutError

    desk.office.on_step = cut
    with pytest.raises(CutError):
        desk.sweep()
    desk.office.on_step = lambda _step: None
    path.unlink()
    desk.office.build_station()
    assert [row.name for row in rows(desk)] == [path.name]
    assert rows(desk)[0].receipt_text is not None


def test_an_envelope_for_other_keys_gets_no_receipt(desk, entropy):
    (path,) = dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep()
    row = next(row for row in rows(desk) if row.name == path.name)
    strangers = [OpenKey(use, entropy(32)).seal_key() for use in (Use.VAULT, Use.RECOVERY)]
    sealed = SealedRecord.verify(row.record_text.encode(), desk.office.ring.stations)
    envelope = seal_envelope(entropy(32), sealed.id, sealed.station, strangers)
    from dataclasses import replace

    from storage.digest import Digest

    forged = replace(sealed, envelope={"sha-256": Digest.compute(envelope).hex})
    with pytest.raises(EnvelopeError):
        desk.office.centre.accession(
            forged.sign(desk.office.ring.get_signing_key("station-station-1")), envelope
        )


def test_one_station_cannot_sign_as_another(desk, entropy):
    dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep()
    ours = SealedRecord.verify(rows(desk)[0].record_text.encode(), desk.office.ring.stations)
    other = SigningKey.from_seeds("station-2", entropy(64))
    trusted = (*desk.office.ring.stations, other.verify_key())
    with pytest.raises(SignatureError):
        SealedRecord.verify(ours.sign(other), trusted)


def test_a_confirmed_exhibit_of_a_seizure_is_kept_for_ever(desk):
    _case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    desk.sweep()
    before = {row.id: row.retain_until for row in rows(desk)}
    (recording,) = desk.link(action)
    after = {row.id: row.retain_until for row in rows(desk)}
    assert (after[recording] - before[recording]).days > 36_000
    assert all(after[other] == before[other] for other in before if other != recording)
    for part in ("payload", "record.json", "envelope.json"):
        facts = desk.office.objects.facts(f"{recording}/{part}")
        assert facts.retain_until == limit_lock_date(after[recording])


def test_two_bays_with_the_same_serial_are_not_mixed_up(desk):
    dock(desk, "bay-1", FIRST, segment(0, 1))
    dock(desk, "bay-2", FIRST, segment(5, 1))
    desk.sweep()
    assert shown(desk, "bay-2").reason == "serial-twice"
    assert len([row for row in rows(desk) if row.kind == "video"]) == 1


def test_keys_that_are_there_are_never_overwritten(desk):
    before = {path: path.read_bytes() for path in desk.office.settings.keys.iterdir()}
    with pytest.raises(OfficeExistsError):
        found_office(desk.office.settings)
    assert {path: path.read_bytes() for path in desk.office.settings.keys.iterdir()} == before


@pytest.mark.parametrize("files", range(1, 11))
def test_founding_cut_short_after_any_file_is_finished_by_the_next_start(
    tmp_path, monkeypatch, files
):
    from storage.vault import keys

    settings = settings_for(tmp_path)
    write = keys._write_new
    count = 0

    class CutError(BaseException):
        pass

    def cut(*args, **more):
        nonlocal count
        write(*args, **more)
        count += 1
        if count == files:
            raise CutError

    monkeypatch.setattr(keys, "_write_new", cut)
    with contextlib.suppress(CutError):
        found_or_open(settings).close()
    monkeypatch.setattr(keys, "_write_new", write)
    office = found_or_open(settings)
    ring = KeyRing.load(settings.keys)
    recovery = OpenKey.load(settings.recovery_out)
    assert recovery.seal_key().kid == ring.recipients[1].kid
    assert office.signer.has_begun
    office.close()


def test_the_second_officers_recorder_is_another_source(desk):
    dock(desk, "bay-1", FIRST, segment(0, 1))
    dock(desk, "bay-2", SECOND, segment(0, 1))
    desk.sweep()
    assert {row.source_serial for row in rows(desk)} == {FIRST.serial, SECOND.serial}


def test_sm3_stands_beside_sha_256_where_the_office_asks_for_it(tmp_path):
    import hashlib

    desk = Desk.set_up(tmp_path, sm3=True)
    data = "国密".encode()
    (desk.bay("bay-1") / "note.txt").write_bytes(data)
    desk.sweep()
    (row,) = rows(desk)
    record = SealedRecord.verify(row.record_text.encode(), desk.office.ring.stations)
    assert set(record.digests) == {"sha-256", "sm3"}
    assert record.digests["sm3"] == hashlib.new("sm3", data).hexdigest()
    desk.office.close()
