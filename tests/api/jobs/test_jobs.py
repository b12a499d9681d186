"""Jobs: asked for with the act that wants them, done once in effect, given up openly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from api.cli.main import app
from api.jobs import registry, request
from api.jobs.attempt import Runner
from api.jobs.kind import Queue
from api.jobs.kinds import lock, rendition
from api.jobs.kinds.verify import UnreadableError
from api.jobs.worker import Workers, start_jobs
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.reports.duty_list import iterate_duties
from api.problems import ApiError
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.jobs.jobs import State, TurnLostError, WorkerBusyError
from storage.catalogue.jobs.tables import JobStepRow, LaterLookRow
from storage.catalogue.log import custody_log
from storage.catalogue.people import people, sessions
from storage.catalogue.recordings import recordings
from storage.custody.entries.event import PremisType, format_timestamp
from storage.errors import ConflictError, FixityError, NotFoundError, StoreUnavailableError
from storage.recording import new_recording_id
from storage.vault.objects import RENDITION, key_of
from tests.office import FIRST, PASSWORD, Desk, dock, segment

PATIENCE_S = 60


@pytest.fixture(scope="module")
def docked(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("docked"))
    for path in dock(desk, "bay-1", FIRST, segment(0, 2), segment(3, 2)):
        path.with_suffix(".log").unlink()
    desk.sweep()
    return desk.rest()


@pytest.fixture
def desk(docked, tmp_path):
    desk = docked.copy(tmp_path, worker_silent_s=2)
    yield desk
    desk.office.close()


@pytest.fixture
def runner(desk):
    """A worker's hands, without its threads."""
    runner = Runner(desk.office)
    with desk.office.catalogue.write() as uow:
        runner.life = jobs.register_worker(uow, "worker-1", over=None)
    return runner


def kept(desk):
    with desk.office.catalogue.read() as session:
        return list(recordings.iterate_recordings(session))


def ask(desk, kind, subject="system", **more):
    actor = more.pop("actor", "system")
    with desk.office.catalogue.write() as uow:
        job = jobs.request_job(uow, kind, subject, actor=actor, **more).id
        if actor != "system":
            kind_of_act = PremisType.METADATA_MODIFICATION
            uow.record("job.ask", kind_of_act, actor=actor, subject=f"job:{job}")
        return job


def row(desk, job):
    with desk.office.catalogue.read() as session:
        return jobs.by_id(session, job)


def run(desk, runner, kind, subject="system", **more):
    job = ask(desk, kind, subject, **more)
    return row(desk, job), runner.run(job, 1), row(desk, job)


def renditions(desk):
    return [key for key in desk.office.objects.keys() if key.endswith(RENDITION)]  # noqa: SIM118 - a store, not a dict


def entries(desk, recording, act):
    with desk.office.catalogue.read() as session:
        events = custody_log.LogReader(session).events_of(Subject.of_recording(recording))
        return [event for event in events if event.act == act]


def damage(desk, recording):
    path = desk.office.settings.home / "objects" / recording / "payload"
    mode = path.stat().st_mode
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    path.chmod(mode)  # another mode would be named by itself


# The table of states


def test_a_job_exists_only_if_the_act_that_wants_it_is_committed(desk):
    def refused():
        with desk.office.catalogue.write() as uow:
            jobs.request_job(uow, "publish", "system", actor="system")
            raise ConflictError

    with pytest.raises(ConflictError):
        refused()
    with desk.office.catalogue.read() as session:
        assert jobs.list_jobs(session) == []


def test_a_slot_is_asked_for_once(desk):
    first, again = (ask(desk, "due", slot="2026-11-24") for _ in range(2))
    assert first == again
    assert ask(desk, "due", slot="2026-11-25") != first
    assert ask(desk, "due") != ask(desk, "due")


def test_only_the_last_turn_finishes_a_job(desk):
    job = ask(desk, "publish")
    with desk.office.catalogue.write() as uow:
        slow = jobs.register_worker(uow, "slow", over=None)
        early = jobs.claim_job(uow, job, 1, slow)
        assert jobs.claim_job(uow, job, 1, jobs.register_worker(uow, "eager", over=None)) is None
        jobs.deregister_worker(uow, slow)
        late = jobs.claim_job(uow, job, 1, jobs.register_worker(uow, "other", over=None))
    assert (early.turn, late.turn, late.failures) == (1, 2, 1)
    for refused in (jobs.finish_job, jobs.fail_job):
        with pytest.raises(TurnLostError), desk.office.catalogue.write() as uow:
            refused(uow, early, {} if refused is jobs.finish_job else "late")
    with desk.office.catalogue.write() as uow:
        jobs.finish_job(uow, late, {"by": "other"})
        assert jobs.claim_job(uow, job, 1, slow) is None
    assert (row(desk, job).state, row(desk, job).result) == (State.DONE, {"by": "other"})


def test_a_job_that_kills_its_workers_is_given_up(desk):
    job = ask(desk, "publish")
    for turn in range(jobs.TRIES):
        with desk.office.catalogue.write() as uow:
            life = jobs.register_worker(uow, f"worker-{turn}", over=None)
            assert jobs.claim_job(uow, job, 1, life) is not None
            jobs.deregister_worker(uow, life)
    with desk.office.catalogue.write() as uow:
        assert jobs.claim_job(uow, job, 1, jobs.register_worker(uow, "last", over=None)) is None
    assert (row(desk, job).state, row(desk, job).error) == (State.FAILED, "worker-died")


def test_only_what_failed_is_tried_again(desk):
    job = ask(desk, "publish")
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        jobs.retry_job(uow, job)
    with pytest.raises(NotFoundError), desk.office.catalogue.write() as uow:
        jobs.retry_job(uow, "nothing")


def test_every_state_has_its_moves():
    assert set(jobs.MOVES) == set(State)
    assert jobs.MOVES[State.DONE] == frozenset()


def test_a_name_belongs_to_one_life(desk):
    with desk.office.catalogue.write() as uow:
        life = jobs.register_worker(uow, "worker-1", over=None)
    with pytest.raises(WorkerBusyError), desk.office.catalogue.write() as uow:
        jobs.register_worker(uow, "worker-1", over=None)
    with desk.office.catalogue.write() as uow:
        assert jobs.record_heartbeat(uow, life)
        assert not jobs.declare_dead(uow, life, 0)  # it has beaten since
        assert jobs.declare_dead(uow, life, 1)
        assert not jobs.record_heartbeat(uow, life)
        assert jobs.register_worker(uow, "worker-1", over=None) != life


def test_done_jobs_are_forgotten_but_the_last_of_each_kind_and_what_failed(desk, runner):
    done = [run(desk, runner, "publish")[0].id for _ in range(3)]
    failed = run(desk, runner, "no-such-kind")[0].id
    with desk.office.catalogue.write() as uow:
        assert jobs.forget_done(uow, uow.at + timedelta(days=1)) == 2
    with desk.office.catalogue.read() as session:
        assert {one.id for one in jobs.list_jobs(session)} == {done[-1], failed}


def test_periods_begin_by_the_countys_clock():
    def named(text):
        return {
            kind.name: slot
            for kind, slot in registry.list_current_slots(datetime.fromisoformat(text))
        }

    before, after = named("2026-11-23T16:59:59+00:00"), named("2026-11-23T17:00:00+00:00")
    assert (before["scrub"], after["scrub"]) == ("2026-11-23T01:00", "2026-11-24T01:00")
    assert before["publish"] == "2026-11-24T00:55"
    assert before["lock"] == after["lock"] == "2026-11-23T04:00"  # a Monday
    assert set(before) == {"audit", "scrub", "sweep", "publish", "due", "lock"}


# How a job goes


def test_a_failing_job_backs_off_is_given_up_shown_and_asked_again(desk, runner, monkeypatch):
    def unreadable(_office, _job, _step):
        raise UnreadableError(recording="x")

    kind = registry.KINDS["publish"]
    broken = type(kind)(name="publish", zh="", work=unreadable, settle=kind.settle)
    monkeypatch.setitem(registry.KINDS, "publish", broken)
    job = ask(desk, "publish")
    pauses = []
    for attempt in range(1, jobs.TRIES + 1):
        told = runner.run(job, attempt)
        now = row(desk, job)
        pauses.append((now.due_at - desk.office.clock()).total_seconds())
        assert told == ("again" if attempt < jobs.TRIES else "failed")
        assert runner.run(job, attempt) == "nothing"  # that attempt is over
    assert (now.state, now.error, now.attempt) == (State.FAILED, "unreadable-object", 8)
    assert [round(pause / 30) for pause in pauses[:-1]] == [1, 2, 4, 8, 16, 32, 64]
    shown = run(desk, runner, "due")[2].result
    assert shown["failed"] == [job]
    monkeypatch.setitem(registry.KINDS, "publish", kind)
    with desk.office.catalogue.write() as uow:
        jobs.retry_job(uow, job)
    assert runner.run(job, 9) == "done"


def test_pauses_end_at_an_hour(desk, runner):
    job = ask(desk, "publish")
    with desk.office.catalogue.write() as uow:
        jobs.by_id(uow.session, job).failures = jobs.TRIES - 2
        taken = jobs.claim_job(uow, job, 1, runner.life)
        jobs.fail_job(uow, taken, "x")
        assert jobs.by_id(uow.session, job).due_at - uow.at == timedelta(minutes=32)


def test_what_no_retry_mends_is_given_up_at_once(desk, runner):
    _, told, after = run(desk, runner, "verify", f"recording:{UUID(int=7)}")
    assert (told, after.state, after.error) == ("failed", State.FAILED, "not-found")
    _, told, after = run(desk, runner, "no-such-kind")
    assert (told, after.error) == ("failed", "unknown-kind")


def test_what_a_worker_no_longer_works_on_is_put_back(desk, runner):
    job = ask(desk, "publish")
    with desk.office.catalogue.write() as uow:
        jobs.claim_job(uow, job, 1, runner.life)
        assert not jobs.left_behind(uow.session, runner.life, [job])
        assert jobs.left_behind(uow.session, runner.life, runner.jobs_in_hand)
        assert jobs.let_go(uow, runner.life, runner.jobs_in_hand) == 1
    assert row(desk, job).state == State.WAITING
    assert runner.run(job, 1) == "done"


def counting(monkeypatch, *, fail_first=False):
    """Have `publish` work in one step that counts itself."""
    kind, count = registry.KINDS["publish"], []

    def work(_office, _job, step):
        facts = step("count", lambda: {"count": count.append(1) or len(count)})
        if fail_first and len(count) == 1:
            raise UnreadableError(recording="x")
        return facts

    counted = type(kind)(name="publish", zh="", work=work, settle=kind.settle)
    monkeypatch.setitem(registry.KINDS, "publish", counted)
    return count


def steps(desk):
    with desk.office.catalogue.read() as session:
        return list(session.scalars(select(JobStepRow)))


def test_what_a_dead_worker_wrote_down_of_a_step_is_not_done_again(desk, runner, monkeypatch):
    count = counting(monkeypatch)
    job = ask(desk, "publish")
    with desk.office.catalogue.write() as uow:
        life = jobs.register_worker(uow, "dying", over=None)
        turn = jobs.claim_job(uow, job, 1, life)
        jobs.remember_step(uow, turn, "count", {"count": 7})
        jobs.deregister_worker(uow, life)
    assert runner.run(job, 1) == "done"
    assert (count, row(desk, job).result, steps(desk)) == ([], {"count": 7}, [])
    with pytest.raises(TurnLostError), desk.office.catalogue.write() as uow:
        jobs.remember_step(uow, turn, "count", {"count": 8})


def test_another_attempt_does_its_steps_anew(desk, runner, monkeypatch):
    counting(monkeypatch, fail_first=True)
    job = ask(desk, "publish")
    assert (runner.run(job, 1), steps(desk)) == ("again", [])
    assert runner.run(job, 2) == "done"
    assert row(desk, job).result == {"count": 2}


def test_the_job_that_is_due_first_is_taken_first_and_each_queue_takes_its_own(desk, runner):
    with desk.office.catalogue.write() as uow:
        late = jobs.request_job(uow, "publish", "system", actor="system", due_at=uow.at).id
        early = jobs.request_job(
            uow, "publish", "system", actor="system", due_at=uow.at - timedelta(hours=1)
        ).id
        jobs.request_job(uow, "due", "system", actor="system", due_at=uow.at + timedelta(hours=1))
        scrub = jobs.request_job(uow, "scrub", "system", actor="system", slot="1").id
    done = []
    for queue in (Queue.QUICK, Queue.QUICK, Queue.QUICK):
        outcome = runner.run_next(queue)
        done.append(outcome and [one for one in (early, late) if row(desk, one).state == "done"])
    assert done == [[early], [early, late], None]
    assert row(desk, scrub).state == State.WAITING
    assert (runner.run_next(Queue.LONG), row(desk, scrub).state) == ("done", State.DONE)


# The kinds


def test_a_whole_recording_is_verified_and_the_log_says_so(desk, runner):
    recording = kept(desk)[0].id
    _, told, after = run(desk, runner, "verify", f"recording:{recording}")
    assert (told, after.result["wrong"]) == ("done", [])
    (entry,) = entries(desk, recording, "recording.verify")
    assert (entry.outcome, entry.actor) == ("success", "system")
    assert list(whole_check(desk.office)) == []


def test_a_damaged_store_is_found_shown_and_found_right_again(desk, runner):
    first, second = (one.id for one in kept(desk))
    damage(desk, first)
    run(desk, runner, "verify", f"recording:{first}")
    run(desk, runner, "verify", f"recording:{second}")
    (entry,) = entries(desk, first, "recording.verify")
    assert entry.outcome == "failure"
    assert [one["what"] for one in entry.details["wrong"]] == ["changed-object"]
    assert run(desk, runner, "due")[2].result["damaged"] == [first]
    damage(desk, first)  # back as it was
    run(desk, runner, "verify", f"recording:{first}")
    assert run(desk, runner, "due")[2].result["damaged"] == []


def test_an_unreadable_object_is_tried_again_before_it_is_a_finding(desk, runner):
    recording = kept(desk)[0].id
    path = desk.office.settings.home / "objects" / recording / "payload"
    path.unlink()
    path.mkdir()  # not to be read as a file
    job = ask(desk, "verify", f"recording:{recording}")
    assert runner.run(job, 1) == "again"
    assert entries(desk, recording, "recording.verify") == []
    with desk.office.catalogue.write() as uow:
        jobs.by_id(uow.session, job).failures = jobs.TRIES - 1
    assert runner.run(job, 2) == "done"
    (entry,) = entries(desk, recording, "recording.verify")
    assert entry.outcome == "failure"


def test_a_weak_lock_is_found_extended_and_logged(desk, runner):
    recording = kept(desk)[0].id
    lock = desk.office.settings.home / "objects" / recording / ".lock" / "payload.json"
    lock.chmod(0o600)
    lock.write_text('{"mode":"COMPLIANCE","retain_until":"2026-12-01T00:00:00+00:00"}')
    run(desk, runner, "verify", f"recording:{recording}")
    with desk.office.catalogue.read() as session:
        (asked,) = jobs.list_jobs(session, kind="lock")
    assert asked.subject == f"recording:{recording}"
    assert runner.run(asked.id, 1) == "done"
    (entry,) = entries(desk, recording, "recording.lock")
    assert entry.details["parts"] == ["payload"]
    assert list(whole_check(desk.office)) == []
    assert run(desk, runner, "lock")[2].result == {"extended": [], "missing": [], "held": []}
    assert len(entries(desk, recording, "recording.lock")) == 1


def test_a_lost_lock_is_found_mended_from_the_promise_and_logged(desk, runner):
    office, recording = desk.office, kept(desk)[0].id
    shutil.rmtree(office.settings.home / "objects" / recording / ".lock")
    run(desk, runner, "verify", f"recording:{recording}")
    (entry,) = entries(desk, recording, "recording.verify")
    assert {one["what"] for one in entry.details["wrong"]} == {"lost-lock"}
    with office.catalogue.read() as session:
        (asked,) = jobs.list_jobs(session, kind="lock")
    assert runner.run(asked.id, 1) == "done"
    (entry,) = entries(desk, recording, "recording.lock")
    assert set(entry.details["lost"]) == {"payload", "record.json", "envelope.json"}
    assert list(whole_check(office)) == []
    for part in entry.details["lost"]:
        facts = office.objects.facts(f"{recording}/{part}")
        assert (facts.retain_until, facts.on_hold) == (kept(desk)[0].retain_until, False)


def test_the_nightly_look_mends_a_lost_lock_and_goes_on_with_the_others(desk, runner):
    first, second = (one.id for one in kept(desk))
    objects = desk.office.settings.home / "objects"
    os.truncate(objects / first / ".lock" / "payload.json", 0)
    (objects / second / ".lock" / "record.json.json").unlink()
    told = run(desk, runner, "lock")[2].result
    assert [one["lost"] for one in told["extended"]] == [["payload"], ["record.json"]]
    assert list(whole_check(desk.office)) == []


def test_what_was_destroyed_after_the_look_is_said_to_be_neither_locked_nor_missing(
    desk, runner, monkeypatch
):
    first, second = (one.id for one in kept(desk))
    objects = desk.office.settings.home / "objects"
    note = objects / first / ".lock" / "payload.json"
    note.chmod(0o600)
    note.write_text('{"mode":"COMPLIANCE","retain_until":"2026-12-01T00:00:00+00:00"}')
    (objects / second / "payload").unlink()
    check_page = lock._check_page

    def look_then_destroy(*asked):
        page = check_page(*asked)
        for recording in (first, second):
            with desk.office.catalogue.write() as uow:
                gone = recordings.by_id(uow.session, recording)
                gone.destroyed_at = uow.at
                subject = Subject.of_recording(recording)
                uow.record(
                    "recording.destroy", PremisType.DELETION, gone, actor="system", subject=subject
                )
        return page

    monkeypatch.setattr(lock, "_check_page", look_then_destroy)
    told = run(desk, runner, "lock")[2].result
    assert (told["extended"], told["missing"]) == ([], [])
    for act in ("recording.lock", "recording.retain"):
        assert entries(desk, first, act) == []
    with desk.office.catalogue.read() as session:
        assert jobs.list_jobs(session, kind="verify") == []


def test_an_orphan_whose_lock_is_lost_is_never_removed(desk, runner):
    office = desk.office
    recording = new_recording_id(office.clock(), office.entropy(10))
    key = office.objects.put(f"{recording}/payload", [b"evidence"]).key
    office.objects.lock(key, office.clock() + timedelta(days=1))
    shutil.rmtree(office.settings.home / "objects" / str(recording) / ".lock")
    run(desk, runner, "sweep")
    _grow_old(desk, key)
    assert run(desk, runner, "sweep")[2].result["kept"] == [str(recording)]
    assert list_orphans(office) == [key]


def test_a_missing_object_met_while_locking_is_verified(desk, runner):
    recording = kept(desk)[0].id
    (desk.office.settings.home / "objects" / recording / "payload").unlink()
    assert run(desk, runner, "lock")[2].result["missing"] == [recording]
    with desk.office.catalogue.read() as session:
        (asked,) = jobs.list_jobs(session, kind="verify")
    assert asked.subject == f"recording:{recording}"


def test_scrub_takes_what_was_read_longest_ago_and_all_in_time(desk, runner):
    in_order = sorted(kept(desk), key=lambda one: (one.accessioned_at, one.id))
    first, second = (one.id for one in in_order)
    assert run(desk, runner, "scrub", slot="1")[2].result == {"asked": 1}
    with desk.office.catalogue.read() as session:
        assert [one.subject for one in jobs.list_jobs(session, kind="verify")] == [
            f"recording:{first}"
        ]
    with desk.office.catalogue.write() as uow:
        recording_upkeep.note_verified(uow, first, [], uow.at)
    assert run(desk, runner, "scrub", slot="2")[2].result == {"asked": 1}
    with desk.office.catalogue.write() as uow:
        assert jobs.list_jobs(uow.session, kind="verify")[0].subject == f"recording:{second}"
        # Whatever would be read later than promised comes too, however much it is.
        long_ago = uow.at - timedelta(days=desk.office.settings.scrub_days)
        for one in (first, second):
            recording_upkeep.note_verified(uow, one, [], long_ago)
    assert run(desk, runner, "scrub", slot="3")[2].result == {"asked": 2}


def test_scrub_tells_what_is_strange_in_the_store(desk, runner):
    assert "wrong" not in run(desk, runner, "scrub", slot="1")[2].result
    (desk.office.settings.home / "objects" / "notes.txt").write_text("x")
    told = run(desk, runner, "scrub", slot="2")[2].result
    assert [one["subject"] for one in told["wrong"]] == ["notes.txt"]
    assert (told["asked"], told["count"]) == (1, 1)
    with desk.office.catalogue.read() as session:
        (entry,) = custody_log.LogReader(session).events_of("system:store")
    assert (entry.act, entry.outcome, entry.details["count"]) == ("store.check", "failure", 1)


def test_a_store_that_cannot_be_listed_holds_up_no_verification(desk, runner, monkeypatch):
    def unlisted(_prefix=""):
        raise StoreUnavailableError(problem="away")

    monkeypatch.setattr(desk.office.objects, "strangers", unlisted)
    job = ask(desk, "scrub")
    assert runner.run(job, 1) == "again"
    with desk.office.catalogue.write() as uow:
        jobs.by_id(uow.session, job).failures = jobs.TRIES - 1
    assert runner.run(job, 2) == "done"
    assert row(desk, job).result == {"asked": 1, "unlisted": "store-unavailable"}


def test_an_orphan_is_told_first_and_removed_only_after_the_grace(desk, runner):
    office = desk.office
    recording = new_recording_id(office.clock(), office.entropy(10))
    key = office.objects.put(f"{recording}/payload", [b"half"]).key
    assert run(desk, runner, "sweep")[2].result["orphans"].keys() == {key}
    assert run(desk, runner, "sweep")[2].result["removed"] == []
    _grow_old(desk, key)
    assert run(desk, runner, "sweep")[2].result["removed"] == [str(recording)]
    assert list_orphans(office) == []
    (entry,) = entries(desk, str(recording), "object.sweep")
    assert entry.details["keys"] == [key]
    assert run(desk, runner, "sweep")[2].result["orphans"] == {}


def test_a_locked_orphan_is_never_removed(desk, runner):
    """A catalogue put back from an old copy must not cost what was accessioned since."""
    office = desk.office
    recording = new_recording_id(office.clock(), office.entropy(10))
    key = office.objects.put(f"{recording}/payload", [b"evidence"]).key
    office.objects.lock(key, office.clock() + timedelta(days=1))
    run(desk, runner, "sweep")
    _grow_old(desk, key)
    assert run(desk, runner, "sweep")[2].result["kept"] == [str(recording)]
    assert list_orphans(office) == [key]
    assert entries(desk, str(recording), "object.sweep") == []


def test_an_orphan_with_an_upload_under_way_is_never_removed(desk, runner):
    office = desk.office
    recording = new_recording_id(office.clock(), office.entropy(10))
    key = office.objects.put(f"{recording}/payload", [b"arriving"]).key
    run(desk, runner, "sweep")
    _grow_old(desk, key)
    from storage.digest import Digest

    office.uploads.begin_upload(office.settings.station, recording, 9, Digest.compute(b"arriving!"))
    after = run(desk, runner, "sweep")[2].result
    assert after["kept"] == [str(recording)], after
    assert list_orphans(office) == [key]


def test_a_lost_row_of_an_accession_keeps_its_objects(desk, runner):
    office = desk.office
    recording = new_recording_id(office.clock(), office.entropy(10))
    key = office.objects.put(f"{recording}/payload", [b"x"]).key
    with office.catalogue.write() as uow:
        from storage.custody.entries.event import PremisType

        uow.record(
            "recording.accession",
            PremisType.ACCESSION,
            actor="station:station-1",
            subject=f"recording:{recording}",
        )
    run(desk, runner, "sweep")
    _grow_old(desk, key)
    assert run(desk, runner, "sweep")[2].result["kept"] == [str(recording)]


def test_publish_signs_what_is_not_signed_yet(desk, runner):
    with desk.office.catalogue.read() as session:
        size = custody_log.LogReader(session).size
    assert run(desk, runner, "publish")[2].result == {"size": size}


def test_the_daily_list_is_what_the_console_shows(desk, runner):
    told = run(desk, runner, "due")[2].result
    shown = iterate_duties(desk.office, desk.office.clock())
    assert [one["subject"] for one in told["duties"]] == [one.subject for one in shown]
    assert told["misjudged"] == []


def test_a_later_inspection_stands_beside_the_sealed_record(desk, runner):
    video = kept(desk)[0]
    actor = desk.visitor("zhang").actor
    _, told, after = run(desk, runner, "inspect", f"recording:{video.id}", actor=actor)
    assert (told, after.error) == ("done", None)
    with desk.office.catalogue.read() as session:
        (look,) = session.scalars(select(LaterLookRow).filter_by(recording_id=video.id))
    assert look.media["duration_s"] == pytest.approx(video.duration_s)
    acts = [one.act for one in _events(desk, video.id)]
    assert acts.index("recording.access") < acts.index("recording.inspect")
    assert kept(desk)[0].record_text == video.record_text
    assert list((desk.office.settings.home / "unwrapped").iterdir()) == []
    assert list(whole_check(desk.office)) == []


@pytest.mark.parametrize("who", ["guan", "wang"])
def test_who_may_not_play_may_not_have_it_unwrapped(desk, runner, who):
    video = kept(desk)[0]
    visitor = desk.visitor(who)
    with pytest.raises(ApiError) as refused:
        request.ask_as(desk.service, visitor, "inspect", video.id)
    assert refused.value.code == "forbidden"
    # Nor does a row that came about otherwise help.
    _, told, after = run(desk, runner, "inspect", f"recording:{video.id}", actor=visitor.actor)
    assert (told, after.error) == ("failed", "forbidden")
    assert entries(desk, video.id, "recording.access") == []
    assert [one.outcome for one in entries(desk, video.id, "recording.play")] == ["refused"] * 2


def test_a_right_that_was_lost_since_counts(desk, runner):
    video = kept(desk)[0]
    job = request.ask_as(desk.service, desk.visitor("zhang"), "inspect", video.id).id
    with desk.office.catalogue.write() as uow:
        account = people.account_by_username(uow.session, "zhang")
        people.set_disabled(uow, account.id, disabled=True, actor="system")
    assert runner.run(job, 1) == "failed"
    assert row(desk, job).error == "unauthenticated"
    assert entries(desk, video.id, "recording.access") == []


def test_the_house_itself_cannot_have_footage_unwrapped(desk, runner):
    video = kept(desk)[0]
    with pytest.raises(ApiError):
        request.ask_for_job(desk.office, "inspect", video.id)
    _, told, after = run(desk, runner, "inspect", f"recording:{video.id}")
    assert (told, after.error) == ("failed", "unauthenticated")


def test_a_recording_too_large_to_unwrap_is_refused_before_any_access(desk, runner):
    video = kept(desk)[0]
    desk.office.settings.unwrap_gb = 1e-6
    actor = desk.visitor("zhang").actor
    _, told, after = run(desk, runner, "inspect", f"recording:{video.id}", actor=actor)
    assert (told, after.error) == ("failed", "too-large")
    assert entries(desk, video.id, "recording.access") == []


def test_damaged_footage_is_not_inspected(desk, runner):
    video = kept(desk)[0]
    damage(desk, video.id)
    actor = desk.visitor("zhang").actor
    _, told, after = run(desk, runner, "inspect", f"recording:{video.id}", actor=actor)
    assert (told, after.error) == ("failed", "fixity")


def test_a_poster_is_made_kept_sealed_and_shown_against_an_entry(desk, runner):
    video = kept(desk)[0]
    zhang = desk.visitor("zhang")
    assert rendition.read_poster(desk.service, zhang, UUID(video.id)) is None
    _, told, after = run(desk, runner, "rendition", f"recording:{video.id}", actor=zhang.actor)
    assert (told, after.error) == ("done", None)
    picture = rendition.read_poster(desk.service, zhang, UUID(video.id))
    assert picture.startswith(b"\xff\xd8\xff")
    (key,) = renditions(desk)
    assert picture not in desk.office.objects.read(key, 0, 1 << 20)
    assert list_orphans(desk.office) == []
    purposes = [one.details["purpose"] for one in entries(desk, video.id, "recording.access")]
    assert purposes == ["rendition", "rendition"]
    assert list(whole_check(desk.office)) == []
    with pytest.raises(ApiError):
        rendition.read_poster(desk.service, desk.visitor("guan"), UUID(video.id))


def test_a_rendition_nobody_refers_to_is_swept_the_others_stay(desk, runner):
    video = kept(desk)[0]
    actor = desk.visitor("zhang").actor
    run(desk, runner, "rendition", f"recording:{video.id}", actor=actor)
    (made,) = renditions(desk)
    late = new_recording_id(desk.office.clock(), desk.office.entropy(10))
    stray = desk.office.objects.put(key_of(late, RENDITION), [b"late"]).key
    assert run(desk, runner, "sweep")[2].result["orphans"].keys() == {stray}
    _grow_old(desk, stray, timedelta(hours=23))
    assert run(desk, runner, "sweep")[2].result["removed"] == []
    _grow_old(desk, stray, timedelta(hours=25))
    assert run(desk, runner, "sweep")[2].result["removed"] == [str(late)]
    assert renditions(desk) == [made]


def test_a_picture_made_again_lies_beside_the_first_and_is_the_one_shown(desk, runner):
    video, zhang = kept(desk)[0], desk.visitor("zhang")
    for count in (1, 2):
        run(desk, runner, "rendition", f"recording:{video.id}", actor=zhang.actor, slot=str(count))
        assert len(renditions(desk)) == count
    newest = max(renditions(desk))
    with desk.office.catalogue.read() as session:
        assert newest.startswith(
            recording_upkeep.newest_rendition(session, video.id, rendition.POSTER).id
        )
    desk.office.objects.delete(newest, desk.office.clock())
    with pytest.raises(FixityError):
        rendition.read_poster(desk.service, zhang, UUID(video.id))


def test_what_has_no_picture_gives_no_poster(desk, runner):
    (desk.bay("bay-1") / "note.bin").write_bytes(b"\x00\x01 nobody knows")
    desk.sweep()
    (other,) = [one for one in kept(desk) if not one.playable]
    actor = desk.visitor("zhang").actor
    _, told, after = run(desk, runner, "rendition", f"recording:{other.id}", actor=actor)
    assert (told, after.error) == ("failed", "no-picture")


def test_a_row_of_a_job_that_no_entry_asked_for_unwraps_nothing(desk, runner):
    video, zhang = kept(desk)[0], desk.visitor("zhang").actor
    with desk.office.catalogue.write() as uow:
        job = jobs.request_job(uow, "inspect", f"recording:{video.id}", actor=zhang).id
    assert runner.run(job, 1) == "failed"
    assert row(desk, job).error == "unauthenticated"
    assert entries(desk, video.id, "recording.access") == []


def test_what_a_job_does_later_names_the_session_that_asked_for_it(desk, runner):
    video, zhang = kept(desk)[0], desk.visitor("zhang").actor
    job = ask(desk, "inspect", f"recording:{video.id}", actor=zhang)
    with desk.office.catalogue.write() as uow:
        sessions.end_of_account(uow, _account(uow.session), sessions.End.DISABLED, actor="system")
    assert runner.run(job, 1) == "done"
    (access,) = entries(desk, video.id, "recording.access")
    assert access.details["session"] == zhang.session
    assert access.details["asked_at"] < format_timestamp(access.at)
    assert list(whole_check(desk.office)) == []


def _account(session):
    return people.account_by_username(session, "zhang").id


# The whole, with its threads


def test_jobs_in_the_service_are_done(desk):
    office = desk.office
    video = kept(desk)[0].id
    damage(desk, video)
    job = ask(desk, "verify", f"recording:{video}")
    stop = start_jobs(office)
    try:
        _until(lambda: row(desk, job).state == State.DONE and _all_done(desk))
        with pytest.raises(WorkerBusyError):
            Workers(office, office.settings.station).run()
    finally:
        stop()
    with office.catalogue.read() as session:
        assert all(one.ended_at is not None for one in jobs.list_workers(session))


def test_jobs_are_listed_asked_for_and_tried_again_by_command(desk, runner, monkeypatch):
    _, _, failed = run(desk, runner, "no-such-kind")
    video = kept(desk)[0].id
    said = _cli(desk, monkeypatch, "jobs", "list", "--json")
    assert [json.loads(line)["state"] for line in said.splitlines()] == ["failed"]
    assert "失败,需处理" in _cli(desk, monkeypatch, "jobs", "list", "--state", "failed")
    asked = json.loads(_cli(desk, monkeypatch, "jobs", "ask", "verify", video, "--json"))
    assert asked["subject"] == f"recording:{video}"
    again = json.loads(_cli(desk, monkeypatch, "jobs", "retry", failed.id, "--json"))
    assert (again["state"], again["attempt"]) == ("waiting", 2)
    assert "worker-1" in _cli(desk, monkeypatch, "jobs", "workers")


def test_unwrapping_is_asked_for_in_a_persons_name_by_command(desk, monkeypatch):
    video = kept(desk)[0].id
    words = ("jobs", "ask", "inspect", video, "--json", "--username", "zhang")
    asked = json.loads(_cli(desk, monkeypatch, *words, typed=f"{PASSWORD}\n").splitlines()[-1])
    assert asked["asked_by"] == f"person:{desk.persons['zhang']}"


@pytest.mark.parametrize(
    ("kind", "recording", "error"),
    [("nothing", None, NotFoundError), ("verify", None, ApiError), ("verify", "x", NotFoundError)],
)
def test_what_cannot_be_asked_for_is_refused(desk, kind, recording, error):
    with pytest.raises(error):
        request.ask_for_job(desk.office, kind, recording)


def test_a_worker_ends_in_peace_and_a_second_is_refused_in_chinese(desk, tmp_path):
    settings = desk.office.settings
    desk.office.close()
    environment = os.environ | {
        "LIUHEN_HOME": str(settings.home),
        "LIUHEN_DATABASE_URL": settings.database,
        "LIUHEN_WORKER_SILENT_S": "2",
        "LIUHEN_IMMUTABLE": "false",
    }
    command = [sys.executable, "-m", "api.cli.main", "worker", "--name", "worker-1"]
    log = tmp_path / "worker.log"
    with log.open("w") as out:
        first = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        _until(lambda: "已就绪" in log.read_text() or first.poll() is not None)
        second = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert second.returncode == 1
        assert "已有名为 worker-1 的后台作业进程在运行" in second.stderr
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE_S) == 0
    finally:
        first.kill()
        first.wait()


def _events(desk, recording):
    with desk.office.catalogue.read() as session:
        return custody_log.LogReader(session).events_of(Subject.of_recording(recording))


def _grow_old(desk, key, age=None):
    """Say that the last sweep saw the orphan that long ago; beyond the grace unless told."""
    with desk.office.catalogue.write() as uow:
        last = jobs.newest_done(uow.session, "sweep")
        grace = timedelta(days=desk.office.settings.sweep_days, hours=1)
        long_ago = uow.at - (age or grace)
        last.result = (last.result or {}) | {"orphans": {key: long_ago.isoformat()}}


def _until(met):
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def _all_done(desk):
    with desk.office.catalogue.read() as session:
        return all(one.state == State.DONE for one in jobs.list_jobs(session))


def _cli(desk, monkeypatch, *words, typed=None):
    monkeypatch.setenv("LIUHEN_HOME", str(desk.office.settings.home))
    monkeypatch.setenv("LIUHEN_DATABASE_URL", desk.office.settings.database)
    done = CliRunner().invoke(app, list(words), input=typed)
    assert done.exit_code == 0, done.output
    return done.stdout
