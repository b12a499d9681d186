"""A destruction of 20 recordings, killed with -9 at every step, or met by a hold at every step."""

import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from policies.facts.terms import HoldReason
from policies.identifiers import Subject
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.holds import holds
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.log import custody_log
from storage.catalogue.retention import dispositions
from storage.signed.signing import verify_document
from storage.upkeep.destruction import CERTIFICATE_DOMAIN
from storage.vault.objects import PARTS
from tests.faults import destroy_once
from tests.keeping import ORDINARY, WHO, Archive

MANY = 20
PATIENCE_S = 60
LATER = 13  # the occurrence that is neither the first nor the last
STEPS = (
    "begun",
    "envelope-deleted",  # in the transaction that is the point of no return
    "shredded",
    *(f"{part}-deleted" for part in PARTS),
    "rendition-deleted",
    "gone",
)
ONCE = "certified"


class Place:
    """An archive in a folder with a disposition of 20 recordings whose cooling-off time is over."""

    def __init__(self, folder: Path, fresh: ForkServerContext) -> None:
        self.folder, self.fresh = folder, fresh
        self.disposition, at = (folder / "decided").read_text().split()
        self.at = datetime.fromisoformat(at)
        self.archive = destroy_once.opened(folder, self.at).reopen()

    @property
    def ids(self) -> list[str]:
        with self.archive.catalogue.read() as session:
            return [one.recording_id for one in dispositions.list_items(session, self.disposition)]

    def hold(self, recording: str) -> None:
        new = NewHold(reason=HoldReason.OTHER, authority="county", recording_id=recording)
        with self.archive.catalogue.write() as uow:
            holds.place_hold(uow, new, actor=WHO)

    def killed_at(self, step: str, nth: int = 1) -> None:
        child = self.fresh.Process(
            target=destroy_once.killed, args=(self.folder, self.at, self.disposition, step, nth)
        )
        child.start()
        child.join(PATIENCE_S)
        assert child.exitcode == -signal.SIGKILL

    def state(self, recording: str) -> str:
        with self.archive.catalogue.read() as session:
            return dispositions.get_item(session, self.disposition, recording).state

    def acts(self, recording: str) -> list[str]:
        with self.archive.catalogue.read() as session:
            events = custody_log.LogReader(session).events_of(Subject.of_recording(recording))
            return [one.act for one in events]

    def wrong(self) -> list[object]:
        with self.archive.catalogue.read() as session:
            return list(audit_catalogue(session, []))

    def check_each_is_whole_or_gone(self, kept: set[str]) -> None:
        """All but `kept` are gone, once; log, tombstones and certificate say the same."""
        archive = self.archive
        for one in self.ids:
            if one in kept:
                assert archive.whole(one)
                assert self.state(one) == "kept"
                assert self.acts(one)[-1] in {"recording.keep", "hold.place"}
            else:
                assert archive.gone(one)
                assert self.state(one) == "gone"
                assert [act for act in self.acts(one) if "destroy" in act] == [
                    "recording.destroy-begin",
                    "recording.destroy",
                    "recording.destroyed",
                ]
        with archive.catalogue.read() as session:
            signed = dispositions.get_disposition(session, self.disposition).certificate
        body = verify_document(signed.encode(), CERTIFICATE_DOMAIN, [archive.key.verify_key()])
        assert {one["recording"] for one in body["destroyed"]} == set(self.ids) - kept
        assert {one["recording"] for one in body["kept"]} == kept
        assert self.wrong() == []


@pytest.fixture(scope="session")
def decided(memory: Path) -> Path:
    """An archive whose disposition may be executed; copy it, never open it."""
    folder = memory / "decided"
    folder.mkdir()
    archive: Archive = destroy_once.opened(folder, datetime(2026, 11, 23, 2, tzinfo=UTC)).found()
    ids = [archive.keep(b"%d" % number) for number in range(MANY)]
    for one in ids:
        archive.rendition(one)
    archive.at += ORDINARY
    disposition = archive.decided(*ids)
    (folder / "decided").write_text(f"{disposition} {archive.at.isoformat()}")
    archive.close()
    return folder


@pytest.fixture
def place(decided: Path, fresh: ForkServerContext) -> Iterator[Place]:
    folder = decided.with_name("archive")
    shutil.copytree(decided, folder)
    place = Place(folder, fresh)
    yield place
    place.archive.close()
    shutil.rmtree(folder)


def test_the_steps_are_all_listed(place: Place) -> None:
    seen: list[str] = []
    place.archive.on_step = seen.append
    assert place.archive.execute(place.disposition) == {"gone": MANY}
    assert tuple(dict.fromkeys(seen)) == (*STEPS, ONCE)
    place.check_each_is_whole_or_gone(set())


@pytest.mark.parametrize(
    ("step", "nth"), [*((step, nth) for step in STEPS for nth in (1, LATER)), (ONCE, 1)]
)
def test_killed_at_a_step_each_recording_ends_whole_or_gone(
    place: Place, step: str, nth: int
) -> None:
    held = place.ids[5]
    place.hold(held)
    place.killed_at(step, nth)
    before = {one: place.state(one) for one in place.ids}
    assert place.wrong() == []
    for one, state in before.items():
        if state in {"listed", "kept"}:
            assert place.archive.whole(one)
        if state == "gone":
            assert place.archive.gone(one)
    # What begun and was not finished is one recording at most; the log knows where it stands.
    under_way = [one for one, state in before.items() if state in {"begun", "shredded"}]
    assert len(under_way) <= 1
    for one in under_way:
        shredded = "recording.destroy" in place.acts(one)
        assert shredded == (before[one] == "shredded")
        assert bool(place.archive.row(one).envelope_text) != shredded
    left = set(before.values()) != {"gone", "kept"}
    if left:
        place.killed_at("gone")  # the resumption is killed as well
    place.archive.execute(place.disposition)
    place.check_each_is_whole_or_gone({held})


@pytest.mark.parametrize("step", STEPS)
def test_a_resumption_killed_at_the_same_step_is_resumed(place: Place, step: str) -> None:
    place.killed_at(step, 2)
    place.killed_at(step)
    assert place.archive.execute(place.disposition) == {"gone": MANY}
    place.check_each_is_whole_or_gone(set())


@pytest.mark.parametrize("step", [*STEPS, ONCE])
def test_a_hold_that_another_process_places_at_a_step_wins_or_is_refused(
    place: Place, step: str
) -> None:
    """The other process holds all 20, one by one; those past the point of no return refuse."""
    nth = 1 if step == ONCE else 7
    fresh, ids = place.fresh, place.ids
    here, go, asking = fresh.Event(), fresh.Event(), fresh.Event()
    child = fresh.Process(
        target=destroy_once.waiting,
        args=(place.folder, place.at, place.disposition, step, nth, here, go),
    )
    other = fresh.Process(target=destroy_once.hold_all, args=(place.folder, place.at, ids, asking))
    child.start()
    assert here.wait(PATIENCE_S)
    other.start()
    assert asking.wait(PATIENCE_S)
    if step == "envelope-deleted":  # under the lock of all writers: the hold has to wait
        other.join(0.3)
        assert other.is_alive()
        go.set()
        other.join(PATIENCE_S)
    else:
        other.join(PATIENCE_S)
        go.set()
    child.join(PATIENCE_S)
    assert (child.exitcode, other.exitcode) == (0, 0)
    placed = set((place.folder / "placed").read_text().split())
    refused = set((place.folder / "refused").read_text().split())
    past = {"begun": 6}.get(step, MANY if step == ONCE else 7)
    if step == "envelope-deleted":
        assert refused >= set(ids[:past])
    else:
        assert refused == set(ids[:past])
    assert placed == set(ids) - refused
    with place.archive.catalogue.read() as session:
        for one in placed:
            assert len(holds.list_holds_of_recording(session, one)) == 1
    place.check_each_is_whole_or_gone(placed)
