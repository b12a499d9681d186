"""The station's journal: bays write at the same time, and no question reads all of it."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from storage.catalogue.stations.journal_store import JournalStore


def test_bays_that_write_at_once_wait_for_one_another(tmp_path):
    store = JournalStore(tmp_path / "station.db")
    wrong: list[BaseException] = []
    together = threading.Barrier(4)

    def write(name: str) -> None:
        try:
            together.wait(10)
            for count in range(40):
                store.set_bay(name, state="sealing", files_done=count, changed=str(count))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            wrong.append(error)

    threads = [threading.Thread(target=write, args=(f"bay-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert [row.files_done for row in store.list_bays()] == [39] * 4
    store.close()


def _filled(store: JournalStore) -> None:
    for number, state in enumerate(("accessioned", "sealed", "quarantined")):
        store.add_row(
            source="R-1",
            path=b"DCIM/%d.JPG" % number,
            size=100,
            mtime_ns=1,
            bay="bay-1",
            state=state,
            reason="spool-damaged",
            facts={},
            recording=f"recording-{number}",
            sha256="00",
            receipt=b"receipt" if state == "accessioned" else None,
            first_seen="",
            changed="",
        )


def _indexes(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")
        return {name for (name,) in names}


def test_an_older_journal_gets_the_indexes_of_a_new_one_and_keeps_its_rows(tmp_path):
    path = tmp_path / "station.db"
    store = JournalStore(path)
    _filled(store)
    store.close()
    whole = _indexes(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX ix_submission_size")
        connection.execute("DROP INDEX ix_submission_place")
        connection.execute("CREATE INDEX ix_submission_source ON submission (source)")
    assert _indexes(path) != whole

    store = JournalStore(path)

    assert _indexes(path) == whole
    assert [row.id for row in store.list_rows(source="R-1")] == [1, 2, 3]
    store.close()


QUESTIONS: dict[str, tuple[Callable[[JournalStore], object], str]] = {
    "size": (lambda store: store.has_row({"sealed"}, source="R-1", size=100), "ix_submission_size"),
    "bytes": (
        lambda store: store.with_receipt({"accessioned"}, "R-1", "00"),
        "ix_submission_bytes",
    ),
    "versions": (
        lambda store: list(store.list_versions("bay-1", [b"DCIM/0.JPG", b"DCIM/1.JPG"])),
        "ix_submission_place",
    ),
    "path": (lambda store: store.list_rows(bay="bay-1", path=b"DCIM/0.JPG"), "ix_submission_place"),
    "key": (
        lambda store: store.list_rows(source="R-1", path=b"DCIM/0.JPG", size=100, mtime_ns=1),
        "ix_submission_key",
    ),
    "ids": (lambda store: store.list_ids("sealed"), "ix_submission_state"),
    "reasons": (lambda store: store.list_reasons("sealed"), "ix_submission_state"),
    "recordings": (
        lambda store: store.recordings_in({"sealed"}, ["recording-1", "recording-2"]),
        "ix_submission_attempt",
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_about_one_file_of_many_goes_by_an_index(tmp_path, question):
    ask, index = QUESTIONS[question]
    store = JournalStore(tmp_path / "station.db")
    _filled(store)
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, given: Any, *_: object) -> None:
        asked.append((statement, given))

    event.listen(store._engine, "before_cursor_execute", note)
    assert ask(store)
    store.close()

    (statement, given) = asked[-1]
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
    steps = [step for *_, step in plan if "submission" in step]
    assert steps, plan
    assert all(index in step and step.startswith("SEARCH") for step in steps), plan


def test_a_question_about_more_files_than_one_statement_can_name_is_answered(tmp_path):
    store = JournalStore(tmp_path / "station.db")
    _filled(store)
    many = [b"DCIM/%d.JPG" % number for number in range(40_000)]
    assert {row.path for row in store.list_versions("bay-1", many)} == set(many[:3])
    assert store.recordings_in({"sealed"}, map(str, range(40_000))) == set()
    store.close()
