"""What is coming: due, unlinked, late; and bytes by station and class."""

import os
from datetime import timedelta

import pytest

from policies.facts.stages import ActionKind
from policies.facts.terms import FootageClass
from policies.retention.capacity import WEEK
from storage.catalogue.oversight import forecast
from storage.catalogue.retention import classification
from storage.vault.folder.folder_objects import FolderObjects
from tests.keeping import ORDINARY, WHO, Archive
from tests.servers.database import Database


@pytest.fixture
def archive(tmp_path, now):
    database = Database.fresh(tmp_path)
    objects = FolderObjects(tmp_path / "objects", os.urandom, immutable=False)
    archive = Archive(database.url, objects, now).found()
    yield archive
    archive.close()
    database.drop()


def give(archive, recording):
    with archive.catalogue.write() as uow:
        classification.assign_class(
            uow,
            archive.rulebook,
            recording,
            FootageClass.INCIDENT,
            "群体性事件",
            person_id=archive.persons["张三"],
            actor=WHO,
        )


def test_stocks_tell_what_is_kept_for_ever_apart(archive):
    archive.keep(b"1234")
    give(archive, archive.keep(b"12"))
    archive.at += 5 * WEEK
    archive.keep(b"123")
    with archive.catalogue.read() as session:
        found = forecast.sum_stored_bytes(session, archive.at)
        assert forecast.sum_stored_bytes(session, archive.at, "别处镇") == []
    told = [(one.station, one.forever, one.kept_bytes, one.lately) for one in found]
    assert told == [("s1", False, 7, 3), ("s1", True, 2, 0)]


def test_what_falls_due_is_counted_by_week_and_ends_with_destruction(archive):
    first = archive.keep(b"1234")
    archive.at += WEEK
    archive.keep(b"123")
    archive.at += ORDINARY - 2 * WEEK
    with archive.catalogue.read() as session:
        assert forecast.sum_expiring_by_week(session, archive.at)[:3] == [4, 3, 0]
        assert forecast.falling_due(session, archive.at + timedelta(days=30)) == (2, 7)
    archive.at += 2 * WEEK
    archive.execute(archive.decided(first))
    with archive.catalogue.read() as session:
        assert forecast.falling_due(session, archive.at) == (1, 3)


def test_unlinked_after_a_week_unless_linked_or_kept_for_ever(archive):
    action = archive.action(ActionKind.INSPECTION)
    lone, linked, classed = archive.keep(b"1"), archive.keep(b"2"), archive.keep(b"3")
    archive.link(action, linked)
    give(archive, classed)
    week = timedelta(days=7)
    with archive.catalogue.read() as session:
        assert forecast.list_unlinked_footage(session, archive.at - week) == []
        found = forecast.list_unlinked_footage(session, archive.at)
    assert [row.id for row in found] == [lone]


def test_footage_older_than_a_day_at_its_accession_is_late(archive):
    archive.keep(b"1", start=archive.at - timedelta(hours=23))
    late = archive.keep(b"2", start=archive.at - timedelta(hours=25))
    with archive.catalogue.read() as session:
        since = archive.at - timedelta(days=30)
        found = forecast.list_late_accessions(session, since, timedelta(hours=24))
    assert [row.id for row in found] == [late]
