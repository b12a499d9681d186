"""What is accessioned once, and what may change about it."""

import sqlite3
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from policies.identifiers import Subject
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recording_search, recordings
from storage.catalogue.recordings.recording_search import RecordingFilter
from storage.catalogue.recordings.recordings import Answers
from storage.custody.entries.event import Outcome, PremisType
from storage.digest import Digest
from storage.errors import ConflictError, DestroyedError, NotFoundError
from storage.recording import MediaKind


@pytest.fixture
def one(catalogue, new):
    with catalogue.write() as uow:
        return recordings.accession_recordings(uow, new())[0]


def events_of(catalogue, row):
    with catalogue.read() as session:
        return LogReader(session).events_of(Subject.of_recording(row.id))


def test_an_accessioned_recording_knows_its_entry(catalogue, one):
    (event,) = events_of(catalogue, one)
    assert event.index == one.leaf_index
    assert (event.act, event.event, event.actor) == (
        "recording.accession",
        "accession",
        "station:s1",
    )
    with catalogue.read() as session:
        row = recordings.by_id(session, one.id)
        assert row.snapshot() == event.details["rows"][0]["state"]
        assert row.start_at.tzinfo is not None
        assert "张三" not in LogReader(session).get_leaf(event.index)


def test_signed_texts_stand_in_the_log_as_digests(one):
    assert one.snapshot()["record_text"] == str(Digest.compute(one.record_text.encode()))
    assert one.snapshot()["receipt_text"] is None


def test_the_same_bytes_of_the_same_source_are_the_first_recording(catalogue, new, one):
    with catalogue.write() as uow:
        (again,) = recordings.accession_recordings(uow, new(name="renamed.mp4"))
    assert (again.id, again.name) == (one.id, one.name)
    assert len(events_of(catalogue, one)) == 1


def test_many_at_once_are_what_each_would_be_by_itself(catalogue, new, one):
    news = [
        new(b"a"),
        new(b"footage"),
        new(b"b", serial="R2"),
        new(b"a", name="twin.mp4"),
        new(b"c"),
    ]
    with catalogue.write() as uow:
        a, known, b, twin, c = recordings.accession_recordings(uow, *news)
    assert (known.id, twin.id) == (one.id, a.id)
    for row in (a, b, c):
        (event,) = events_of(catalogue, row)
        assert event.index == row.leaf_index
        assert event.details["rows"][0]["state"] == row.snapshot()
    assert [a.leaf_index, b.leaf_index, c.leaf_index] == [one.leaf_index + n for n in (1, 2, 3)]


def test_the_same_bytes_of_another_source_are_another_recording(catalogue, new, one):
    with catalogue.write() as uow:
        (other,) = recordings.accession_recordings(uow, new(serial="R2"))
    assert other.id != one.id


def test_the_same_name_with_other_bytes_is_another_recording(catalogue, new, one):
    with catalogue.write() as uow:
        (other,) = recordings.accession_recordings(uow, new(b"other footage"))
    assert (other.name, other.id != one.id) == (one.name, True)


def test_a_size_never_seen_needs_no_digest(catalogue, one):
    with catalogue.read() as session:
        assert recordings.same_size(session, "R1", one.size)
        assert not recordings.same_size(session, "R1", one.size + 1)
        assert not recordings.same_size(session, "R2", one.size)
        assert recordings.by_digest(session, "R1", one.sha256).id == one.id
        assert recordings.by_digest(session, "R2", Digest.compute(b"footage")) is None


def destroy(catalogue, row):
    """Pass the point of no return, as `storage/upkeep/destruction.py` does it."""
    with catalogue.write() as uow:
        gone = recordings.by_id(uow.session, row.id)
        gone.destroyed_at, gone.envelope_text = uow.at, ""
        subject = Subject.of_recording(gone.id)
        uow.record("recording.destroy", PremisType.DELETION, gone, actor="system", subject=subject)


def test_what_was_destroyed_answers_for_nothing(catalogue, one):
    destroy(catalogue, one)
    with catalogue.read() as session:
        assert not recordings.same_size(session, "R1", one.size)
        assert recordings.by_digest(session, "R1", one.sha256) is None


def test_bytes_that_come_again_after_their_destruction_are_a_new_recording_that_names_it(
    catalogue, new, one
):
    destroy(catalogue, one)
    with catalogue.write() as uow:
        (second,) = recordings.accession_recordings(uow, new())
    (event,) = events_of(catalogue, second)
    assert (second.id != one.id, event.details["repeats"]) == (True, one.id)
    with catalogue.write() as uow:
        again, twin, other = recordings.accession_recordings(uow, new(), new(), new(serial="R2"))
    assert (again.id, twin.id) == (second.id, second.id)  # it answers for its bytes from now on
    assert "repeats" not in events_of(catalogue, other)[0].details
    destroy(catalogue, second)
    with catalogue.write() as uow:
        third, twin = recordings.accession_recordings(uow, new(), new())
    assert (twin.id, events_of(catalogue, third)[0].details["repeats"]) == (third.id, second.id)


def test_the_id_of_what_was_destroyed_is_never_given_again(catalogue, new):
    same = new()
    with catalogue.write() as uow:
        (row,) = recordings.accession_recordings(uow, same)
    destroy(catalogue, row)
    with pytest.raises(DestroyedError), catalogue.write() as uow:
        recordings.accession_recordings(uow, same)


def test_what_was_destroyed_gets_no_receipt(catalogue, one):
    destroy(catalogue, one)
    with pytest.raises(DestroyedError), catalogue.write() as uow:
        recordings.keep_receipts(uow, {one.id: "receipt"})


def test_the_database_itself_refuses_to_keep_the_same_bytes_twice(catalogue, new, database, one):
    with catalogue.write() as uow:
        (other,) = recordings.accession_recordings(uow, new(b"other"))
    twice = ("UPDATE recording SET sha256 = ? WHERE id = ?", one.sha256, other.id)
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)):
        database.execute(*twice)
    destroy(catalogue, one)
    database.execute(*twice)


def test_a_receipt_is_kept_and_logged_once(catalogue, one):
    for _ in range(2):
        with catalogue.write() as uow:
            recordings.keep_receipts(uow, {one.id: "receipt"})
    assert [event.act for event in events_of(catalogue, one)] == [
        "recording.accession",
        "recording.receipt",
    ]


def test_the_receipt_that_was_given_first_stays(catalogue, new, one):
    with catalogue.write() as uow:
        (other,) = recordings.accession_recordings(uow, new(b"other"))
        recordings.keep_receipts(uow, {one.id: "receipt"})
        kept = recordings.keep_receipts(uow, {one.id: "another", other.id: "its own"})
    assert [kept[row.id].receipt_text for row in (one, other)] == ["receipt", "its own"]
    assert [event.act for event in events_of(catalogue, one)].count("recording.receipt") == 1


def test_a_receipt_of_nothing_keeps_none(catalogue, one):
    with pytest.raises(NotFoundError), catalogue.write() as uow:
        recordings.keep_receipts(uow, {one.id: "receipt", str(uuid4()): "receipt"})
    with catalogue.read() as session:
        assert recordings.by_id(session, one.id).receipt_text is None


def test_an_answer_moves_the_interval_and_closes_the_question(catalogue, new, now, office):
    with catalogue.write() as uow:
        (row,) = recordings.accession_recordings(
            uow, new(start_at=None, officer_no=None, questions=("start", "officer", "clock"))
        )
        assert row.end_at is None
    with catalogue.write() as uow:
        answers = Answers(start_at=now, officer_id=office.first.id)
        row = recordings.answer_questions(uow, row.id, answers, actor="person:p1")
    assert row.end_at == now + timedelta(seconds=60)
    assert row.questions == ["clock"]
    event = events_of(catalogue, row)[-1]
    assert event.details["answered"] == ["officer_id", "start_at"]
    assert event.details["rows"][0]["state"]["record_text"] == row.snapshot()["record_text"]


def test_an_answer_to_nothing_is_refused(catalogue, one):
    with pytest.raises(ConflictError), catalogue.write() as uow:
        recordings.answer_questions(uow, one.id, Answers(), actor="person:p1")


def test_a_refused_look_is_logged(catalogue, one):
    with catalogue.write() as uow:
        recordings.log_access(
            uow,
            one.id,
            actor="person:p1",
            purpose="办案",
            outcome=Outcome.REFUSED,
            reason="another township",
        )
    event = events_of(catalogue, one)[-1]
    assert (event.outcome, event.event) == ("refused", "dissemination")
    assert event.details == {"purpose": "办案", "reason": "another township"}


def test_an_unknown_recording_is_not_found(catalogue):
    with catalogue.read() as session, pytest.raises(NotFoundError):
        recordings.by_id(session, uuid4())


@pytest.fixture
def many(catalogue, new, now):
    with catalogue.write() as uow:
        return [
            recordings.accession_recordings(
                uow,
                new(
                    b"footage %d" % n,
                    serial=f"R{n % 2}",
                    name=f"clip_100%_{n}.mp4",
                    start_at=now + timedelta(minutes=n) if n else None,
                    township="三道河镇" if n == 3 else "半壁山镇",
                    kind=MediaKind.PHOTO if n == 4 else MediaKind.VIDEO,
                    questions=("start",) if n == 0 else (),
                ),
            )[0].id
            for n in range(6)
        ]


def found(catalogue, **wanted):
    with catalogue.read() as session:
        rows = recording_search.search_recordings(session, RecordingFilter(**wanted))
        return sorted(int(row.name.split("_")[2][0]) for row in rows)


def test_search_finds_what_was_asked(catalogue, many, now):
    assert found(catalogue) == [0, 1, 2, 3, 4, 5]
    assert found(catalogue, township="三道河镇") == [3]
    assert found(catalogue, source="R1") == [1, 3, 5]
    assert found(catalogue, kind=MediaKind.PHOTO) == [4]
    assert found(catalogue, officer="001") == [0, 1, 2, 3, 4, 5]
    assert found(catalogue, officer="002") == []
    assert found(catalogue, unanswered=True) == [0]
    assert found(catalogue, since=now + timedelta(minutes=4, seconds=30)) == [4, 5]
    assert found(catalogue, until=now + timedelta(seconds=61)) == [0, 1]
    assert found(catalogue, case="none") == []


def test_search_takes_wildcards_literally(catalogue, many):
    assert found(catalogue, text="100%_2") == [2]
    assert found(catalogue, text="1_0") == []
    assert found(catalogue, text="CLIP") == [0, 1, 2, 3, 4, 5]


def test_pages_follow_each_other_without_gap_or_overlap(catalogue, many):
    seen, after = [], ()
    with catalogue.read() as session:
        while page := recording_search.search_recordings(session, after=after, limit=4):
            seen += [row.id for row in page]
            after = (page[-1].id,)
    assert seen == sorted(many, reverse=True)
