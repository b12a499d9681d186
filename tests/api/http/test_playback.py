"""Playing a sealed recording by byte range, as browsers and players ask for it."""

import hashlib

import pytest

from api.http.recordings.playback import parse_range
from api.problems import ApiError
from storage.catalogue.log.custody_log import LogReader


@pytest.fixture
def path(videos):
    return f"/api/v1/recordings/{videos[0]['id']}/content"


def test_the_whole_original_comes_back(clients, videos, path):
    answer = clients.zhang.get(path)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == videos[0]["sha256"]
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=100-20099", (100, 20_100)),
        ("bytes=16384-16384", (16_384, 16_385)),
        ("bytes=-1", (-1, None)),
        ("bytes=5000-", (5000, None)),
    ],
)
def test_a_range_is_exactly_those_bytes(clients, path, header, span):
    whole = clients.zhang.get(path).content
    answer = clients.zhang.get(path, headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == whole[span[0] : span[1]]
    start = span[0] % len(whole)
    stop = span[1] or len(whole)
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


def test_a_range_beyond_the_end_is_416(clients, videos, path):
    answer = clients.zhang.get(path, headers={"Range": f"bytes={videos[0]['size']}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{videos[0]['size']}"
    assert answer.json()["code"] == "range"


def test_if_range_with_another_tag_gives_everything(clients, videos, path):
    headers = {"Range": "bytes=0-9", "If-Range": '"other"'}
    assert clients.zhang.get(path, headers=headers).status_code == 200
    headers["If-Range"] = f'"{videos[0]["sha256"]}"'
    assert clients.zhang.get(path, headers=headers).status_code == 206


def test_head_tells_sizes_and_leaves_no_access_in_the_log(desk, clients, videos, path):
    before = _accesses(desk, videos[0]["id"])
    answer = clients.zhang.head(path)
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(videos[0]["size"])
    assert answer.headers["etag"] == f'"{videos[0]["sha256"]}"'
    assert answer.content == b""
    assert _accesses(desk, videos[0]["id"]) == before


def test_playing_is_logged_before_it_begins_and_once_for_its_ranges(desk, clients, videos):
    path = f"/api/v1/recordings/{videos[1]['id']}/content"
    for start in (0, 100, 200):
        clients.li.get(path, headers={"Range": f"bytes={start}-{start + 9}"})
    events = _accesses(desk, videos[1]["id"])
    assert len(events) == 1
    assert events[0][1] == f"person:{desk.persons['li']}"


def test_the_entry_stands_before_anything_of_the_recording_is_read(desk, clients, videos):
    recording = videos[2]["id"]
    objects = desk.office.objects
    seen = []

    class Watched:
        def __getattr__(self, name):
            return getattr(objects, name)

        def read(self, key, offset, length):
            seen.append((key.rpartition("/")[2], len(_accesses(desk, recording))))
            return objects.read(key, offset, length)

    before = len(_accesses(desk, recording))
    desk.office.objects = Watched()
    try:
        clients.shen.get(f"/api/v1/recordings/{recording}/content", headers={"Range": "bytes=0-9"})
    finally:
        desk.office.objects = objects
    assert [part for part, _count in seen][:2] == ["envelope.json", "payload"]
    assert {count for _part, count in seen} == {before + 1}


def test_an_operator_may_not_play_and_the_attempt_is_logged(desk, clients, videos, path):
    answer = clients.wang.get(path)
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("您没有")
    with desk.office.catalogue.read() as session:
        events = LogReader(session).events_of(f"recording:{videos[0]['id']}")
    refused = [event for event in events if event.outcome == "refused"]
    assert refused
    assert refused[-1].actor == f"person:{desk.persons['wang']}"


def test_nobody_plays_without_a_login(clients, path):
    answer = clients.nobody.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_tampered_payload_is_never_a_success(desk, clients, videos):
    recording = videos[2]["id"]
    payload = desk.office.settings.home / "objects" / recording / "payload"
    original = payload.read_bytes()
    payload.chmod(0o600)
    damaged = bytearray(original)
    damaged[100] ^= 1
    payload.write_bytes(damaged)
    answer = clients.zhang.get(f"/api/v1/recordings/{recording}/content")
    payload.write_bytes(original)
    assert answer.status_code == 500
    assert answer.json()["code"] == "fixity"


def test_a_hostile_name_stays_inside_its_header():
    from types import SimpleNamespace

    from api.http.recordings.playback import _content_disposition

    row = SimpleNamespace(
        name='a"\r\nX: y/../\u202e.mp4', kind="video", playable=True, container="mov"
    )
    assert "\r" not in _content_disposition(row, "copy")
    assert '"' not in _content_disposition(row, "copy")


@pytest.mark.parametrize(
    "header", ["bytes=9-2", "items=0-1", "bytes=0-1,3-4", "bytes=-", "bytes=a-b"]
)
def test_what_is_no_single_range_means_everything(header):
    assert parse_range(header, 100).partial is False


def test_an_empty_recording_has_no_range():
    with pytest.raises(ApiError):
        parse_range("bytes=0-", 0)
    assert parse_range(None, 0).stop == 0


def _accesses(desk, recording):
    with desk.office.catalogue.read() as session:
        events = LogReader(session).events_of(f"recording:{recording}")
    return [(event.index, event.actor) for event in events if event.act == "recording.access"]
