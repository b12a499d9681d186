"""Rows that keep footage are edited past the program, and somebody destroys it or ends a hold."""

import os
from operator import attrgetter

import pytest

from policies.facts.terms import HoldReason
from storage.catalogue.holds import holds, releases
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.unit_of_work import RowsDifferError
from storage.vault.folder.folder_objects import FolderObjects
from tests.attacks.row_edits import KEEPING_EDITS, RELEASE_EDITS
from tests.keeping import ORDINARY, TOWNSHIP, WHO, Archive
from tests.servers.database import Database

name = attrgetter("name")


@pytest.fixture
def database(tmp_path):
    database = Database.fresh(tmp_path)
    yield database
    database.drop()


@pytest.fixture
def archive(database, tmp_path, now):
    objects = FolderObjects(tmp_path / "objects", os.urandom, immutable=False)
    archive = Archive(database.url, objects, now).found()
    yield archive
    archive.close()


@pytest.fixture
def hold(archive):
    with archive.catalogue.write() as uow:
        new = NewHold(
            reason=HoldReason.INVESTIGATION, authority="county", party="孙某", township=TOWNSHIP
        )
        return holds.place_hold(uow, new, actor=WHO).id


@pytest.mark.parametrize("edit", KEEPING_EDITS, ids=name)
@pytest.mark.usefixtures("hold")
def test_nothing_is_destroyed_whose_row_was_edited(edit, archive, database):
    recording = archive.keep()
    archive.at += ORDINARY
    disposition = archive.decided(recording)
    edit.do(database)
    with pytest.raises(RowsDifferError) as refused:
        archive.execute(disposition)
    assert edit.what in {one.kind for one in refused.value.found}
    assert archive.whole(recording)


@pytest.mark.usefixtures("hold")
def test_what_nobody_edited_goes(archive):
    recording = archive.keep()
    archive.at += ORDINARY
    assert archive.execute(archive.decided(recording)) == {"gone": 1}


@pytest.mark.parametrize("edit", RELEASE_EDITS, ids=name)
def test_a_hold_whose_row_was_edited_is_not_released(edit, archive, database, hold):
    with archive.catalogue.write() as uow:
        proposed = releases.propose_for_hold(uow, hold, "结案", by=archive.keeper("孙三")).id
    edit.do(database)
    with pytest.raises(RowsDifferError), archive.catalogue.write() as uow:
        releases.approve_release(uow, proposed, by=archive.keeper("周四"))


def test_a_hold_that_nobody_edited_is_released(archive, hold):
    archive.release(hold, "孙三", "周四")
