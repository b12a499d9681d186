"""Destruction: what goes, what is left of it, what stops it, and what wins against it."""

import json
import os
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from policies.facts.stages import ActionKind
from policies.facts.terms import FootageClass, HoldReason
from policies.identifiers import Subject
from policies.retention.disposition import Bounds
from policies.time.trusted_time import ClockAnswer
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.holds import holds, releases
from storage.catalogue.holds.concerns import InvolvedError, NotEntitledError
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.jobs import recording_upkeep
from storage.catalogue.log import custody_log
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import classification, dispositions
from storage.catalogue.retention.dispositions import DispositionError, StillKeptError
from storage.errors import (
    ArchiveAwayError,
    ConflictError,
    DestroyedError,
    LockLostError,
    RetentionError,
)
from storage.signed.signing import verify_document
from storage.upkeep.destruction import CERTIFICATE_DOMAIN, ClockDoubtedError
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import ENVELOPE, PARTS, PAYLOAD
from storage.vault.tiered_objects import TieredObjects
from tests.keeping import ORDINARY, TOWNSHIP, WHO, Archive
from tests.servers.database import Database


@pytest.fixture
def archive(tmp_path, now):
    database = Database.fresh(tmp_path)
    objects = FolderObjects(tmp_path / "objects", os.urandom, immutable=False)
    archive = Archive(database.url, objects, now).found()
    yield archive
    archive.close()
    database.drop()


def hold(archive, **on):
    with archive.catalogue.write() as uow:
        new = NewHold(reason=HoldReason.INVESTIGATION, authority="county", **on)
        return holds.place_hold(uow, new, actor=WHO).id


def acts(archive, recording):
    with archive.catalogue.read() as session:
        events = custody_log.LogReader(session).events_of(Subject.of_recording(recording))
        return [(one.act, one.outcome) for one in events]


def state(archive, disposition, recording):
    with archive.catalogue.read() as session:
        return dispositions.get_item(session, disposition, recording).state


def test_what_is_due_goes_with_tombstone_entry_and_certificate(archive):
    recording, young = archive.keep(), None
    archive.at += ORDINARY
    young = archive.keep(b"young")
    disposition = archive.decided(recording)
    assert archive.execute(disposition) == {"gone": 1}
    assert archive.gone(recording)
    assert archive.whole(young)
    assert [act for act, _outcome in acts(archive, recording)][-3:] == [
        "recording.destroy-begin",
        "recording.destroy",
        "recording.destroyed",
    ]
    with archive.catalogue.read() as session:
        stone = dispositions.find_tombstone(session, recording)
        row = dispositions.get_disposition(session, disposition)
        wrong = list(audit_catalogue(session, []))
    assert stone.sha256 == archive.row(recording).sha256
    body = verify_document(row.certificate.encode(), CERTIFICATE_DOMAIN, [archive.key.verify_key()])
    assert [one["recording"] for one in body["destroyed"]] == [recording]
    assert body["proposed_by"] == "张三"
    assert [one["name"] for one in body["approved_by"]] == ["李四"]
    assert body["destroyed"][0]["rules"] == ["keep-ordinary"]
    assert wrong == []


def test_from_the_point_of_no_return_on_it_answers_for_its_bytes_no_more(archive):
    recording = archive.keep()
    row = archive.row(recording)
    archive.at += ORDINARY
    answers = {}

    def ask(step):
        with archive.catalogue.read() as session:
            answers[step] = (
                recordings.by_digest(session, "R1", row.sha256) is not None,
                recordings.same_size(session, "R1", row.size),
            )

    archive.on_step = ask
    archive.execute(archive.decided(recording))
    kept = {step for step, found in answers.items() if found == (True, True)}
    assert kept == {"begun", "envelope-deleted"}  # not committed yet: it may turn back
    assert set(answers.values()) == {(True, True), (False, False)}
    assert {"shredded", "payload-deleted", "gone", "certified"} <= set(answers)


def test_what_nobody_knows_the_lock_of_is_not_destroyed(archive, tmp_path):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    note = tmp_path / "objects" / recording / ".lock" / "payload.json"
    note.unlink()
    with pytest.raises(LockLostError):
        archive.execute(disposition)
    assert archive.row(recording).destroyed_at is None


def test_no_byte_of_the_envelope_is_left_in_the_database(archive, tmp_path):
    recording = archive.keep()
    archive.at += ORDINARY
    envelope = archive.row(recording).envelope_text
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert not files or any(envelope.encode() in path.read_bytes() for path in files)
    archive.execute(archive.decided(recording))
    archive.close()
    for path in files:
        if path.exists():
            assert envelope.encode() not in path.read_bytes()


def test_it_is_done_once_and_told_again_changes_nothing(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    archive.execute(disposition)
    before = acts(archive, recording)
    assert archive.execute(disposition) == {"gone": 1}
    assert acts(archive, recording) == before


def test_what_is_not_due_cannot_be_proposed(archive):
    recording = archive.keep()
    archive.at += ORDINARY - timedelta(seconds=1)
    with pytest.raises(StillKeptError) as refused:
        archive.propose(recording)
    assert any("音像资料一般保存期限" in why for why in refused.value.facts["reasons"])


def test_the_same_person_cannot_approve_his_own_proposal(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.propose(recording, by="张三")
    with pytest.raises(DispositionError) as refused:
        archive.approve(disposition, by="张三")
    assert refused.value.code == "disposition-same-person"
    assert archive.whole(recording)


def test_nothing_goes_without_approval_or_within_the_cooling_off_time(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.propose(recording)
    assert archive.execute(disposition) == {"listed": 1}
    archive.approve(disposition)
    archive.at += archive.bounds.cooling - timedelta(seconds=1)
    with pytest.raises(DispositionError) as refused:
        archive.execute(disposition)
    assert refused.value.code == "disposition-cooling"
    assert archive.whole(recording)


def test_a_withdrawn_disposition_destroys_nothing(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    with archive.catalogue.write() as uow:
        dispositions.withdraw_disposition(uow, disposition, "有人申请查看", actor=WHO)
    assert archive.execute(disposition) == {"listed": 1}
    assert archive.whole(recording)
    assert archive.propose(recording) != disposition  # it may be proposed anew


def test_above_the_brake_a_third_person_must_approve(archive):
    archive.bounds = replace(archive.bounds, brake_items=1)
    first, second = archive.keep(b"1"), archive.keep(b"2")
    archive.at += ORDINARY
    disposition = archive.propose(first, second)
    archive.approve(disposition, by="李四")
    archive.at += archive.bounds.cooling
    assert archive.execute(disposition) == {"listed": 2}
    archive.approve(disposition, by="王五")
    archive.at += archive.bounds.cooling
    assert archive.execute(disposition) == {"gone": 2}


def test_splitting_a_large_disposition_does_not_evade_the_brake(archive):
    archive.bounds = Bounds(brake_items=1, brake_share=1.0, cooling=timedelta(hours=1))
    first, second = archive.keep(b"1"), archive.keep(b"2")
    archive.at += ORDINARY
    one, other = archive.propose(first), archive.propose(second)
    archive.approve(one)
    archive.approve(other)
    archive.at += archive.bounds.cooling
    assert archive.execute(one) == {"gone": 1}
    assert archive.execute(other) == {"listed": 1}
    assert archive.whole(second)
    archive.approve(other, by="王五")
    archive.at += archive.bounds.cooling
    assert archive.execute(other) == {"gone": 1}


def test_more_than_a_share_of_the_store_needs_a_third_person(archive):
    archive.bounds = replace(archive.bounds, brake_share=0.5)
    first, _second, _third = (archive.keep(b"%d" % number) for number in range(3))
    archive.at += ORDINARY
    disposition = archive.propose(first)
    archive.approve(disposition)
    with archive.catalogue.read() as session:
        assert dispositions.get_disposition(session, disposition).state == "approved"
    del _second, _third


@pytest.mark.parametrize("lies_on", ["recording", "action", "case", "party"])
def test_a_hold_on_anything_keeps_what_is_linked_to_it(archive, lies_on):
    recording, action = archive.keep(), archive.action(party="孙某")
    archive.at += ORDINARY
    on = {
        "recording": {"recording_id": recording},
        "action": {"action_id": action},
        "case": {"case_id": archive.case_of(action)},
        "party": {"party": "孙某", "township": TOWNSHIP},
    }[lies_on]
    placed = hold(archive, **on)
    if lies_on != "recording":
        archive.link(action, recording)  # later than the hold
    with archive.catalogue.read() as session:
        assert [one.id for one in holds.list_holds_of_recording(session, recording)] == [placed]
        assert holds.list_recordings_of_hold(session, holds.get_hold(session, placed)) == [
            recording
        ]
    with pytest.raises(StillKeptError):
        archive.propose(recording)


def test_a_namesake_in_another_township_is_somebody_else(archive):
    recording, action = archive.keep(), archive.action(party="孙某")
    archive.link(action, recording)
    placed = hold(archive, party="孙某", township="别处镇")
    with archive.catalogue.read() as session:
        assert holds.list_holds_of_recording(session, recording) == []
        assert holds.list_recordings_of_hold(session, holds.get_hold(session, placed)) == []


def test_only_the_authority_that_placed_a_hold_releases_it(archive):
    placed = hold(archive, recording_id=archive.keep())
    for first, second in (("赵一", "孙三"), ("孙三", "赵一")):  # a head has no part in the county's
        with pytest.raises(NotEntitledError):
            archive.release(placed, first, second)
    with archive.catalogue.read() as session:
        assert holds.get_hold(session, placed).released_at is None
        [waiting] = releases.list_releases(session, waiting=True)
    with archive.catalogue.write() as uow:
        releases.approve_release(uow, waiting.id, by=archive.keeper("周四"))
    with archive.catalogue.read() as session:
        assert holds.get_hold(session, placed).released_at


STEPS = ["begun", "envelope-deleted", "shredded", *(f"{part}-deleted" for part in PARTS)]


def test_a_hold_before_the_point_of_no_return_wins(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)

    def interfere(step):
        if step == "begun":
            hold(archive, recording_id=recording)

    archive.on_step = interfere
    assert archive.execute(disposition) == {"kept": 1}
    assert archive.whole(recording)
    assert acts(archive, recording)[-1] == ("recording.keep", "failure")
    for part in PARTS:
        assert archive.objects.facts(archive.key_of(recording, part)).on_hold


def test_a_hold_that_finds_the_envelope_deleted_and_not_yet_shredded_puts_it_back(archive):
    """The process died between the deletion and its commit; then somebody placed a hold."""
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)

    class Died(BaseException):
        pass

    def die(step):
        if step == "envelope-deleted":
            raise Died

    archive.on_step = die
    with pytest.raises(Died):
        archive.execute(disposition)
    assert archive.parts(recording) == {*PARTS} - {ENVELOPE}
    archive.on_step = lambda _step: None
    hold(archive, recording_id=recording)
    assert archive.execute(disposition) == {"kept": 1}
    assert archive.whole(recording)
    kept = archive.objects.read(archive.key_of(recording, ENVELOPE), 0, 1000).decode()
    assert kept == archive.row(recording).envelope_text
    assert archive.objects.facts(archive.key_of(recording, ENVELOPE)).on_hold


def test_after_the_point_of_no_return_a_hold_is_refused_and_says_why(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    refused = []

    def interfere(step):
        if step == "shredded":
            with pytest.raises(DestroyedError) as error:
                hold(archive, recording_id=recording)
            refused.append(error.value.facts["at"])

    archive.on_step = interfere
    assert archive.execute(disposition) == {"gone": 1}
    assert len(refused) == 1


@pytest.mark.parametrize("what", ["link", "class", "proposal"])
def test_what_is_linked_or_classed_after_the_approval_is_kept(archive, what):
    recording, action = archive.keep(), archive.action()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    if what == "link":
        archive.link(action, recording)
    elif what == "class":
        with archive.catalogue.write() as uow:
            classification.assign_class(
                uow,
                archive.rulebook,
                recording,
                FootageClass.OBSTRUCTION,
                "推搡执法人员",
                person_id=archive.persons["张三"],
                actor=WHO,
            )
    else:
        archive.propose_link(action, recording)
    assert archive.execute(disposition) == {"kept": 1}
    assert archive.whole(recording)


def test_a_lock_that_only_the_store_knows_of_keeps(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    archive.objects.lock(archive.key_of(recording, PAYLOAD), archive.at + timedelta(days=1))
    assert archive.execute(disposition) == {"kept": 1}
    assert archive.whole(recording)


def test_a_legal_hold_that_only_the_store_knows_of_keeps(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    archive.objects.hold(archive.key_of(recording, PAYLOAD))
    assert archive.execute(disposition) == {"kept": 1}
    assert archive.parts(recording) == set(PARTS)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([], "clock-nobody"),
        ([timedelta(minutes=5, seconds=1)], "clock-ahead"),
        ([timedelta(0), timedelta(days=365)], "clock-ahead"),
    ],
)
def test_a_clock_that_nobody_vouches_for_destroys_nothing(archive, told, code):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    archive.trusted = lambda: [ClockAnswer("ntp", archive.at, archive.at - ahead) for ahead in told]
    with pytest.raises(ClockDoubtedError) as refused:
        archive.execute(disposition)
    assert refused.value.code == code
    assert archive.whole(recording)
    assert state(archive, disposition, recording) == "listed"
    archive.trusted = lambda: [ClockAnswer("ntp", archive.at, archive.at + timedelta(minutes=6))]
    assert archive.execute(disposition) == {"gone": 1}  # one that lags is harmless


def test_entries_from_the_future_stop_destruction(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    archive.at += timedelta(days=400)
    archive.keep(b"logged by a clock that ran ahead")
    archive.at -= timedelta(days=400)
    with pytest.raises(ClockDoubtedError) as refused:
        archive.execute(disposition)
    assert refused.value.code == "clock-behind-log"


def test_a_clock_set_ahead_amid_a_destruction_stops_it(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    told = [ClockAnswer("ntp", archive.at, archive.at)]
    archive.trusted = lambda: told

    def tamper(step):
        if step == "begun":
            archive.at += timedelta(days=3650)

    archive.on_step = tamper
    with pytest.raises(ClockDoubtedError) as refused:
        archive.execute(disposition)
    assert refused.value.code == "clock-stale"
    assert archive.whole(recording)


@pytest.mark.parametrize("part", PARTS)
def test_the_store_itself_refuses_what_is_locked_or_held(archive, part):
    """Our own check bypassed: somebody calls the store directly."""
    recording = archive.keep()
    key = archive.key_of(recording, part)
    with pytest.raises(RetentionError):
        archive.objects.delete(key, archive.at)
    archive.objects.hold(key)
    with pytest.raises(RetentionError):
        archive.objects.delete(key, archive.at + timedelta(days=36500))
    assert archive.parts(recording) == set(PARTS)


def test_renditions_go_with_their_recording(archive):
    recording = archive.keep()
    made = [archive.rendition(recording) for _ in range(2)]
    other = archive.rendition(archive.keep(b"other"))
    archive.at += ORDINARY
    archive.execute(archive.decided(recording))
    assert archive.gone(recording)
    assert {*made, other} & set(archive.objects.keys()) == {other}
    with archive.catalogue.read() as session:
        assert [
            one.envelope_text for one in recording_upkeep.renditions_of(session, recording)
        ] == ["", ""]
        assert list(audit_catalogue(session, [])) == []


@pytest.fixture
def safe(archive, tmp_path):
    """An archive behind the store, `there` or away; and a recording with a rendition due now."""

    def attach():
        if not safe.there:
            raise ArchiveAwayError(archive="safe")
        return safe.objects

    objects = FolderObjects(tmp_path / "safe", os.urandom, immutable=False)
    safe = SimpleNamespace(there=True, objects=objects)
    archive.objects = TieredObjects(archive.objects, attach)
    safe.recording = archive.keep()
    safe.payload, safe.made = (
        archive.key_of(safe.recording, PAYLOAD),
        archive.rendition(safe.recording),
    )
    archive.at += ORDINARY
    return safe


@pytest.mark.parametrize("freed", [True, False])
def test_an_archived_rendition_goes_with_its_recording(archive, safe, freed):
    for key in (safe.payload, safe.made):
        archive.objects.archive_object(key)
        assert not freed or archive.objects.let_go(key)
    assert archive.execute(archive.decided(safe.recording)) == {"gone": 1}
    assert archive.gone(safe.recording)
    assert list(safe.objects.keys()) == []


@pytest.mark.parametrize("freed", [True, False])
@pytest.mark.parametrize(
    "step", ["shredded", "payload-deleted", "envelope.json-deleted", "rendition-deleted"]
)
def test_a_destruction_is_not_complete_while_the_archive_is_away(archive, safe, step, freed):
    for key in (safe.payload, safe.made):
        archive.objects.archive_object(key)
        assert not freed or archive.objects.let_go(key)

    def unplug(now):
        safe.there &= now != step

    archive.on_step = unplug
    disposition = archive.decided(safe.recording)
    with pytest.raises(ArchiveAwayError):
        archive.execute(disposition)
    assert state(archive, disposition, safe.recording) == "shredded"
    with archive.catalogue.read() as session:
        assert dispositions.find_tombstone(session, safe.recording).verified_at is None
    with pytest.raises(ArchiveAwayError):
        archive.execute(disposition)

    safe.there, archive.on_step = True, lambda _step: None
    assert archive.execute(disposition) == {"gone": 1}
    assert archive.gone(safe.recording)
    assert list(safe.objects.keys()) == []


def test_a_class_is_given_by_one_and_taken_by_two(archive):
    recording = archive.keep()
    clerk, other = archive.persons["张三"], archive.persons["李四"]
    with archive.catalogue.write() as uow:
        given = classification.assign_class(
            uow,
            archive.rulebook,
            recording,
            FootageClass.INCIDENT,
            "群体性事件",
            person_id=clerk,
            actor=WHO,
        )
    assert archive.row(recording).retain_until.year == 9999
    archive.at += ORDINARY
    with archive.catalogue.write() as uow:
        asked = classification.propose_reclassification(
            uow, recording, [FootageClass.INCIDENT], "误标", person_id=clerk, actor=WHO
        )
    with pytest.raises(ConflictError), archive.catalogue.write() as uow:
        classification.decide_reclassification(
            uow, archive.rulebook, asked.id, approve=True, person_id=clerk, actor=WHO
        )
    with pytest.raises(StillKeptError):
        archive.propose(recording)
    with archive.catalogue.write() as uow:
        done = classification.decide_reclassification(
            uow, archive.rulebook, asked.id, approve=True, person_id=other, actor=WHO
        )
    assert done.after == archive.row(recording).accessioned_at + ORDINARY
    with archive.catalogue.read() as session:
        assert classification.list_assigned_classes(session, recording) == []
        assert list(audit_catalogue(session, [])) == []
    assert archive.execute(archive.decided(recording)) == {"gone": 1}
    del given


def test_nobody_proposes_or_approves_the_end_of_his_own_footage(archive):
    recording = archive.keep(officer="张三")
    own, other = archive.persons["张三"], archive.persons["李四"]
    archive.at += ORDINARY
    with pytest.raises(InvolvedError):
        archive.propose(recording, by="张三")
    disposition = archive.propose(recording, by="李四")
    with pytest.raises(InvolvedError):
        archive.approve(disposition, by="张三")
    with pytest.raises(InvolvedError), archive.catalogue.write() as uow:
        classification.propose_reclassification(
            uow, recording, [], "误标", person_id=own, actor=WHO
        )
    with archive.catalogue.write() as uow:
        asked = classification.propose_reclassification(
            uow, recording, [], "误标", person_id=other, actor=WHO
        )
    with pytest.raises(InvolvedError), archive.catalogue.write() as uow:
        classification.decide_reclassification(
            uow, archive.rulebook, asked.id, approve=True, person_id=own, actor=WHO
        )
    archive.approve(disposition, by="王五")


def test_a_reclassification_goes_not_below_a_link_or_the_objects_lock(archive):
    recording, action = archive.keep(), archive.action(ActionKind.SEIZURE)
    archive.link(action, recording)
    archive.objects.lock(archive.key_of(recording, PAYLOAD), archive.at + timedelta(days=3650))
    with archive.catalogue.write() as uow:
        asked = classification.propose_reclassification(
            uow, recording, [], "规则已修订", person_id=archive.persons["张三"], actor=WHO
        )
    with archive.catalogue.write() as uow:
        done = classification.decide_reclassification(
            uow,
            archive.rulebook,
            asked.id,
            approve=True,
            person_id=archive.persons["李四"],
            actor=WHO,
        )
    assert done.after.year == 9999


def test_the_certificate_says_what_was_kept_and_why(archive):
    first, second = archive.keep(b"1"), archive.keep(b"2")
    archive.at += ORDINARY
    disposition = archive.decided(first, second)
    hold(archive, recording_id=second)
    assert archive.execute(disposition) == {"gone": 1, "kept": 1}
    with archive.catalogue.read() as session:
        body = json.loads(dispositions.get_disposition(session, disposition).certificate)["body"]
    assert [one["recording"] for one in body["kept"]] == [second]
    assert body["kept"][0]["why"][0]["keeper"] == "hold"
