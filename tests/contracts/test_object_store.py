"""One suite for every object store: whatever implements the seam passes it.

It runs on a folder and on a real S3 server with Object Lock (`tests/servers/s3.py`).
"""

import os
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from storage.digest import Digest
from storage.errors import (
    FixityError,
    LockLostError,
    ObjectConflictError,
    ObjectMissingError,
    RetentionError,
    VaultError,
)
from storage.recording import new_recording_id
from storage.vault.objects import ENVELOPE, PAYLOAD, RECORD, RENDITION, LockMode, key_of, size_of
from storage.vault.parts import added_to, mark_of

MIB = 1 << 20
LATER = datetime(9999, 1, 1, tzinfo=UTC)


def test_what_was_put_is_read_back_whole_and_by_range(store, recording):
    data = os.urandom(5 << 20)
    stored = store.put(key_of(recording, PAYLOAD), [data[: 3 << 20], memoryview(data)[3 << 20 :]])
    assert (stored.size, stored.digest) == (len(data), Digest.compute(data))
    assert store.digest(stored.key) == Digest.compute(data)
    assert store.read(stored.key, 12345, 4096) == data[12345 : 12345 + 4096]
    assert store.read(stored.key, len(data) - 3, 100) == data[-3:]
    assert store.facts(stored.key).size == len(data)


def test_an_empty_object_is_an_object(store, recording):
    assert store.put(key_of(recording, PAYLOAD), []).size == 0


def test_the_same_bytes_again_succeed_and_other_bytes_conflict(store, recording):
    key = key_of(recording, RECORD)
    assert store.put(key, [b"one"]) == store.put(key, [b"o", b"ne"])
    with pytest.raises(ObjectConflictError):
        store.put(key, [b"two"])
    assert store.read(key, 0, 10) == b"one"


def test_a_source_that_breaks_leaves_nothing(store, recording):
    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise OSError(5, "pulled cable")

    with pytest.raises((OSError, VaultError)):
        store.put(key_of(recording, PAYLOAD), broken())
    assert list(store.keys()) == []
    with pytest.raises(ObjectMissingError):
        store.facts(key_of(recording, PAYLOAD))
    assert store.sweep(LATER) == 0


def test_a_lock_only_grows_and_refuses_deletion(store, recording, now):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    store.lock(key, now + timedelta(days=100))
    store.lock(key, now + timedelta(days=10))
    assert store.facts(key).retain_until == now + timedelta(days=100)
    assert store.facts(key).mode is LockMode.COMPLIANCE
    with pytest.raises(RetentionError):
        store.delete(key, now + timedelta(days=99))
    store.lock(key, now + timedelta(days=200))
    with pytest.raises(RetentionError):
        store.delete(key, now + timedelta(days=150))


def test_a_lock_that_ended_lets_the_object_go(store, recording):
    """The server's clock decides as well as ours: this one waits for it."""
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    store.lock(key, datetime.now(UTC) + timedelta(seconds=3))
    until = store.facts(key).retain_until
    with pytest.raises(RetentionError):
        store.delete(key, until - timedelta(seconds=1))
    with pytest.raises(RetentionError):  # by the real time as well
        store.delete(key, datetime.now(UTC))
    assert store.facts(key).size == 8
    deadline = time.monotonic() + 30
    while True:
        try:
            store.delete(key, datetime.now(UTC))
            break
        except RetentionError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    with pytest.raises(ObjectMissingError):
        store.read(key, 0, 1)
    store.delete(key, datetime.now(UTC))  # absent is deleted


@pytest.mark.parametrize("part", [ENVELOPE, RENDITION])
def test_an_envelope_or_a_rendition_is_locked_in_governance(store, recording, now, part):
    key = key_of(recording, part)
    store.put(key, [b"{}"])
    store.lock(key, now + timedelta(days=1))
    assert store.facts(key).mode is LockMode.GOVERNANCE


@pytest.mark.parametrize("how", ["lock", "hold"])
def test_what_is_lost_of_a_lock_is_never_taken_for_none(place, recording, now, how):
    """A store that writes locks beside its objects can lose what it wrote; another cannot."""
    store, key = place.open(), key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    if how == "lock":
        store.lock(key, now + timedelta(days=100))
    else:
        store.hold(key)
    place.lose_locks()
    for one in (store, place.open()):
        with pytest.raises((LockLostError, RetentionError)):
            one.delete(key, now)
        assert one.digest(key) == Digest.compute(b"evidence")
        assert (one.read(key, 0, 9), size_of(one, key)) == (b"evidence", 8)
    store.lock(key, now + timedelta(days=100))
    assert store.facts(key).retain_until == now + timedelta(days=100)
    with pytest.raises(RetentionError):
        store.delete(key, now + timedelta(days=99))


def test_an_unlocked_orphan_may_be_deleted(store, recording, now):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"orphan"])
    store.delete(key, now)
    assert list(store.keys()) == []


def test_nothing_is_locked_that_is_not_there(store, recording, now):
    with pytest.raises(ObjectMissingError):
        store.lock(key_of(recording, PAYLOAD), now)


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "payload",
        "/payload",
        f"{UUID(int=0)}/payload",
        "0193a7c0-0000-7000-8000-000000000000/payload/../record.json",
        "0193a7c0-0000-7000-8000-000000000000/other",
        "0193a7c0-0000-7000-8000-000000000000/payload\n",
    ],
)
def test_a_hostile_key_is_refused(store, key):
    with pytest.raises(VaultError):
        store.put(key, [b"x"])
    with pytest.raises(VaultError):
        store.read(key, 0, 1)


def test_a_large_object_is_put_and_read_back_in_bounded_memory(store, recording):
    """64 MiB pass; at most 48 MiB are held at once. One stream of the centre may take 64."""
    block = os.urandom(MIB)
    tracemalloc.start()
    try:
        store.put(key_of(recording, PAYLOAD), (block for _ in range(64)))
        assert tracemalloc.get_traced_memory()[1] < 48 * MIB
    finally:
        tracemalloc.stop()
    assert store.digest(key_of(recording, PAYLOAD)) == Digest.compute(block * 64)


def test_two_who_put_the_same_bytes_at_once_store_one_object(place, recording):
    data = os.urandom(9 * MIB)
    key = key_of(recording, PAYLOAD)
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda _: place.open().put(key, [data]), range(4)))
    assert {one.digest for one in stored} == {Digest.compute(data)}
    store = place.open()
    assert (list(store.keys()), store.digest(key)) == ([key], Digest.compute(data))


def test_of_two_who_put_other_bytes_at_once_one_is_told(place, recording):
    key = key_of(recording, RECORD)

    def put(data: bytes) -> Digest | None:
        try:
            return place.open().put(key, [data]).digest
        except ObjectConflictError:
            return None

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(put, [b"one", b"two"]))
    assert sum(digest is None for digest in told) == 1
    assert place.open().digest(key) in told


def test_keys_are_sorted_and_only_those_of_objects(store, now):
    recordings = [new_recording_id(now, os.urandom(10)) for _ in range(3)]
    wanted = sorted(key_of(one, part) for one in recordings for part in (RECORD, PAYLOAD, ENVELOPE))
    store.identity()
    for key in reversed(wanted):
        store.put(key, [b"x"])
    store.begin(key_of(new_recording_id(now, os.urandom(10)), PAYLOAD))
    assert list(store.keys()) == wanted


def test_a_range_beyond_the_end_is_empty(store, recording):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"abc"])
    assert [store.read(key, 3, 1), store.read(key, 99, 5), store.read(key, 0, 0)] == [b"", b"", b""]
    with pytest.raises(VaultError):
        store.read(key, -1, 1)


def test_another_process_sees_what_was_deleted_and_put_anew(place, recording, now):
    one, other = place.open(), place.open()
    key = key_of(recording, PAYLOAD)
    one.put(key, [b"first"])
    assert other.read(key, 0, 9) == b"first"
    one.delete(key, now)
    with pytest.raises(ObjectMissingError):
        other.read(key, 0, 9)
    one.put(key, [b"second"])
    assert other.read(key, 0, 9) == b"second"


# Strangers


def test_what_others_put_into_a_store_is_told_and_changes_nothing(place, recording, now):
    store, key = place.open(), key_of(recording, PAYLOAD)
    store.identity()
    store.put(key, [b"evidence"])
    store.lock(key, now + timedelta(days=1))
    assert list(store.strangers()) == []
    put = place.intrude(key)
    for one in (store, place.open()):
        assert {(found.name, found.kind) for found in one.strangers()} == put
        own = {(found.name, found.kind) for found in one.strangers(f"{recording}/")}
        assert own == {(name, kind) for name, kind in put if name.startswith(str(recording))}
        assert one.digest(key) == Digest.compute(b"evidence")
        assert one.facts(key).retain_until == now + timedelta(days=1)
    with pytest.raises(RetentionError):
        store.delete(key, now)


def test_names_that_are_none_of_ours_are_no_objects(place, recording):
    store, key = place.open(), key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    place.intrude(key)
    assert set(store.keys()) <= {key, key_of(recording, RECORD)}  # a link stands in its place


def test_nothing_in_the_life_of_an_object_is_strange(place, recording, now):
    store = place.open()
    for part in (PAYLOAD, RECORD, ENVELOPE, RENDITION):
        key = key_of(recording, part)
        handle, other = store.begin(key), store.begin(key)
        mark = store.add_part(key, handle, 1, 0, b"evidence")
        assert list(store.strangers()) == []
        store.complete(key, handle, [mark], 8)
        store.put(key, [b"evidence"])
        store.abort(key, other)
        store.hold(key)
        store.release(key)
        assert list(store.strangers()) == []
        store.delete(key, now)
    assert list(store.strangers()) == []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: place.open().put(key_of(recording, PAYLOAD), [b"x"]), range(4)))
    assert list(store.strangers()) == []


# Parts


def parts_of(store, key, handle, data, length=5 * MIB, first=1) -> list[str]:
    """Add all parts from that number on; return their marks."""
    return [
        store.add_part(key, handle, number, start, data[start : start + length])
        for number, start in enumerate(range(0, len(data), length), 1)
        if number >= first
    ]


def test_parts_become_one_object(store, recording, now):
    data = os.urandom(12 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    marks = parts_of(store, key, handle, data)
    with pytest.raises(ObjectMissingError):
        store.facts(key)
    stored = store.complete(key, handle, marks, len(data))
    assert (stored.size, stored.digest) == (len(data), Digest.compute(data))
    assert store.read(key, 5 * MIB - 3, 6) == data[5 * MIB - 3 : 5 * MIB + 3]
    store.lock(key, now + timedelta(days=1))
    assert store.facts(key).mode is LockMode.COMPLIANCE


def test_parts_go_on_in_another_process(place, recording):
    data = os.urandom(11 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = place.open().begin(key)
    mark = place.open().add_part(key, handle, 1, 0, data[: 5 * MIB])
    marks = [mark, *parts_of(place.open(), key, handle, data, first=2)]
    assert place.open().complete(key, handle, marks, len(data)).digest == Digest.compute(data)


def test_a_part_that_comes_again_replaces_what_followed_it(store, recording):
    old, new = os.urandom(16 * MIB), os.urandom(13 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    marks = parts_of(store, key, handle, old)
    data = old[: 5 * MIB] + new
    again = [marks[0], *parts_of(store, key, handle, data, first=2)]
    assert store.complete(key, handle, again, len(data)).digest == Digest.compute(data)


def test_completing_twice_is_completing(place, recording):
    data = os.urandom(6 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = place.open().begin(key)
    marks = parts_of(place.open(), key, handle, data)
    first = place.open().complete(key, handle, marks, len(data))
    assert place.open().complete(key, handle, marks, len(data)) == first


def test_two_who_complete_at_once_both_succeed(place, recording):
    """Perhaps one is told to come again, as long as the other is at it."""
    data = os.urandom(6 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = place.open().begin(key)
    marks = parts_of(place.open(), key, handle, data)

    def complete(_: int) -> Digest:
        deadline = time.monotonic() + 30
        while True:
            try:
                return place.open().complete(key, handle, marks, len(data)).digest
            except VaultError as error:
                if not error.retryable or time.monotonic() > deadline:
                    raise

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(complete, range(2))) == {Digest.compute(data)}


def test_attempts_at_one_key_do_not_touch_each_other(store, recording):
    data = os.urandom(6 * MIB)
    key = key_of(recording, PAYLOAD)
    one, other = store.begin(key), store.begin(key)
    marks = parts_of(store, key, one, data)
    parts_of(store, key, other, bytes(6 * MIB))
    store.abort(key, other)
    store.abort(key, other)
    with pytest.raises(ObjectMissingError):
        store.add_part(key, other, 1, 0, b"x")
    assert store.complete(key, one, marks, len(data)).digest == Digest.compute(data)


def test_the_same_bytes_from_a_second_attempt_succeed_and_others_conflict(store, recording):
    data = os.urandom(6 * MIB)
    key = key_of(recording, PAYLOAD)
    store.put(key, [data])
    same, other = store.begin(key), store.begin(key)
    marks = parts_of(store, key, same, data)
    assert store.complete(key, same, marks, len(data)).digest == Digest.compute(data)
    marks = parts_of(store, key, other, bytes(6 * MIB))
    with pytest.raises(ObjectConflictError):
        store.complete(key, other, marks, 6 * MIB)
    assert store.digest(key) == Digest.compute(data)


def test_an_attempt_that_never_was_cannot_be_completed(store, recording):
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    mark = store.add_part(key, handle, 1, 0, b"x")
    store.abort(key, handle)
    for untrusted in (handle, "../../../etc/passwd", "0" * 32):
        with pytest.raises(ObjectMissingError):
            store.complete(key, untrusted, [mark], 1)
        with pytest.raises(ObjectMissingError):
            store.add_part(key, untrusted, 1, 0, b"x")


def test_parts_that_are_not_what_their_marks_say_are_refused(store, recording):
    data = os.urandom(6 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    marks = parts_of(store, key, handle, data)
    digest = store.add_part(key, store.begin(key), 1, 0, bytes(5 * MIB)).split(".")[:2]
    forged = ".".join(digest + marks[0].split(".")[2:])
    with pytest.raises(FixityError):
        store.complete(key, handle, [forged, marks[1]], len(data))
    assert list(store.keys()) == []


def test_what_the_whole_ought_to_be_spares_the_parts_and_excuses_nothing(store, now):
    data, other = os.urandom(6 * MIB), Digest.compute(b"something else")
    for announced in (Digest.compute(data), other):
        key = key_of(new_recording_id(now, os.urandom(10)), PAYLOAD)
        handle = store.begin(key)
        marks = parts_of(store, key, handle, data)
        stored = store.complete(key, handle, marks, len(data), announced)
        assert (stored.size, stored.digest) == (len(data), Digest.compute(data))
        forged = mark_of(5 * MIB, other, added_to(marks[0]))
        with pytest.raises(ObjectConflictError):
            store.complete(key, handle, [forged, marks[1]], len(data), other)


def test_a_mark_that_no_store_gave_is_refused(store, recording):
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    store.add_part(key, handle, 1, 0, b"x")
    for untrusted in ("", "1", "1.short", "x" * 40):
        with pytest.raises(VaultError):
            store.complete(key, handle, [untrusted], 1)
    assert list(store.keys()) == []


def test_an_empty_object_may_come_in_no_parts(store, recording):
    key = key_of(recording, PAYLOAD)
    assert store.complete(key, store.begin(key), [], 0).digest == Digest.compute(b"")


def test_what_is_unfinished_is_swept_by_its_age(store, recording):
    data = os.urandom(6 * MIB)
    key = key_of(recording, PAYLOAD)
    handle = store.begin(key)
    marks = parts_of(store, key, handle, data)
    assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
    with_parts = store.begin(key_of(recording, ENVELOPE))
    assert with_parts
    stored = store.complete(key, handle, marks, len(data))
    assert store.sweep(LATER) == 1
    assert (store.sweep(LATER), store.digest(key)) == (0, stored.digest)


# Holds


def test_a_held_object_outlives_its_lock(store, recording, now):
    key = key_of(recording, PAYLOAD)
    store.put(key, [b"evidence"])
    store.hold(key)
    store.hold(key)
    assert store.facts(key).on_hold
    with pytest.raises(RetentionError):
        store.delete(key, LATER)
    store.lock(key, now + timedelta(days=1))
    assert (store.facts(key).on_hold, store.facts(key).retain_until) == (
        True,
        now + timedelta(days=1),
    )
    store.release(key)
    store.release(key)
    assert not store.facts(key).on_hold
    with pytest.raises(RetentionError):  # the lock stands
        store.delete(key, now)


def test_a_released_object_may_go(store, recording, now):
    key = key_of(recording, ENVELOPE)
    store.put(key, [b"{}"])
    store.hold(key)
    store.release(key)
    store.delete(key, now)
    assert list(store.keys()) == []


def test_nothing_is_held_that_is_not_there(store, recording):
    for act in (store.hold, store.release):
        with pytest.raises(ObjectMissingError):
            act(key_of(recording, PAYLOAD))


def test_locks_and_holds_at_once_lose_neither(place, recording, now):
    key = key_of(recording, PAYLOAD)
    place.open().put(key, [b"evidence"])
    dates = [now + timedelta(days=days) for days in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(place.open().lock, key, date) for date in dates]
        waiting.append(pool.submit(place.open().hold, key))
        for one in waiting:
            one.result()
    facts = place.open().facts(key)
    assert (facts.retain_until, facts.on_hold) == (max(dates), True)


# Which store this is


def test_a_store_knows_its_name_and_another_has_another(place):
    name = place.open().identity()
    assert place.open().identity() == name
    assert place.another().identity() != name


def test_looking_for_the_name_of_a_store_gives_it_none(place):
    assert place.open().find_identity() is None
    assert place.open().find_identity() is None
    name = place.open().identity()
    assert place.open().find_identity() == name


def test_two_who_name_a_store_at_once_give_it_one_name(place):
    with ThreadPoolExecutor(4) as pool:
        names = set(pool.map(lambda _: place.open().identity(), range(4)))
    assert names == {place.open().identity()}


# Letting go


def test_a_store_lets_go_only_to_one_that_keeps_as_well(place, store, recording, now):
    key, other = key_of(recording, PAYLOAD), place.another()
    store.put(key, [b"evidence"])
    with pytest.raises(ObjectMissingError):
        store.let_go(key, other)
    other.put(key, [b"evidence"])
    store.lock(key, now + timedelta(seconds=30))
    with pytest.raises(RetentionError):
        store.let_go(key, other)
    other.lock(key, now + timedelta(seconds=30))
    store.hold(key)
    with pytest.raises(RetentionError):
        store.let_go(key, other)
    assert store.read(key, 0, 100) == b"evidence"
    store.release(key)


def test_a_store_never_lets_go_of_other_bytes(place, store, recording):
    key, other = key_of(recording, PAYLOAD), place.another()
    store.put(key, [b"evidence"])
    other.put(key, [b"something else"])
    with pytest.raises(FixityError):
        store.let_go(key, other)
    assert store.read(key, 0, 100) == b"evidence"


def test_what_was_let_go_of_is_gone_here_and_kept_there(place, store, recording):
    key, other = key_of(recording, PAYLOAD), place.another()
    store.put(key, [b"evidence"])
    other.put(key, [b"evidence"])
    assert store.let_go(key, other)
    with pytest.raises(ObjectMissingError):
        store.facts(key)
    assert other.read(key, 0, 100) == b"evidence"
