"""The screen at the dock over HTTP: what it says, to whom it answers, what it never does."""

import socket
import threading
import urllib.error
import urllib.request
from datetime import timedelta
from http.client import HTTPConnection

import pytest

from api.station.kiosk import Screen
from api.station.kiosk_page import serve_kiosk
from ingest.bays.settle import Patience
from tests.office import FIRST, Desk, dock, segment

CAMERAS = {"room-1": {"url": "rtsp://10.0.0.9/1", "room": "询问室"}}


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path, cameras=CAMERAS)
    yield desk
    desk.office.close()


def screen_of(desk):
    return Screen(desk.office.settings, desk.office.journal, desk.office.clock, lambda: 0.0)


@pytest.fixture
def screen(desk):
    return screen_of(desk)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of a screen that answers; nothing changes behind it."""
    desk = Desk.set_up(tmp_path_factory.mktemp("office"), cameras=CAMERAS)
    said = []
    with serve_kiosk(screen_of(desk), 0, said.append) as port:
        assert said == [f"仓位大屏 screen: http://127.0.0.1:{port}/"]
        yield port
    desk.office.close()


def ask(port, method="GET", path="/", **headers):
    there = HTTPConnection("127.0.0.1", port, timeout=10)
    there.putrequest(method, path, skip_host="host" in headers)
    for name, value in headers.items():
        if value is not None:
            there.putheader(name, value)
    there.endheaders()
    answer = there.getresponse()
    text = answer.read().decode()
    there.close()
    return answer, text


def bays(screen):
    return {bay.name: (bay.state, bay.colour, bay.word) for bay in screen.read_state().bays}


def test_a_bay_that_nobody_looked_at_is_unknown_and_then_green(desk, screen):
    assert bays(screen)["bay-1"] == ("unknown", "unknown", "状态不明")
    dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep(4)
    assert bays(screen)["bay-1"] == ("safe", "good", "可以取走")
    assert bays(screen)["bay-2"] == ("empty", "quiet", "空")
    assert bays(screen)["room-1"][0] == "unknown"


def test_a_green_bay_that_is_looked_at_no_more_loses_its_green(desk, screen):
    dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep(4)
    now = desk.office.clock()
    for later, state in ((60, "safe"), (120, "unknown"), (-120, "unknown")):
        screen.clock = lambda later=later: now + timedelta(seconds=later)
        assert bays(screen)["bay-1"][0] == state


def test_a_word_of_another_release_is_unknown(desk, screen):
    desk.sweep()
    desk.office.journal.show_bay("bay-1", state="polishing")
    assert bays(screen)["bay-1"] == ("unknown", "unknown", "状态不明")


def test_a_started_station_without_a_look_shows_no_old_green(desk, screen):
    dock(desk, "bay-1", FIRST, segment(0, 1))
    desk.sweep(4)
    desk.office.build_station(patience=Patience(0, 1000))
    assert bays(screen)["bay-1"][0] == "unknown"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8744", "localhost", "LOCALHOST:1"])
def test_the_screen_answers_to_its_own_names(port, host):
    answer, text = ask(port, host=host)
    assert answer.status == 200
    assert "bay-1" in text


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8744",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "10.0.0.1",
        "0.0.0.0",  # noqa: S104 - as a name in a request
        "[::1",
        "",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/", "/static/screen.js", "/nothing"])
def test_a_name_that_was_made_to_mean_this_machine_is_turned_away(port, host, path):
    answer, text = ask(port, path=path, host=host)
    assert answer.status in {400, 421}
    assert "bay-1" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/static/screen.js"])
def test_nothing_can_be_done_by_the_screen(port, method, path):
    assert ask(port, method, path)[0].status == 405


def test_the_screen_takes_nothing_from_elsewhere_and_is_framed_by_nobody(port):
    answer, text = ask(port)
    policy = answer.getheader("content-security-policy")
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert part in policy
    assert answer.getheader("cross-origin-resource-policy") == "same-origin"
    assert answer.getheader("cache-control") == "no-store"
    assert answer.getheader("access-control-allow-origin") is None
    assert "://" not in text


def test_the_screen_listens_on_loopback_alone(port):
    with open("/proc/net/tcp") as table:
        listening = {line.split()[1] for line in table if line.split()[3] == "0A"}
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening


def test_a_hostile_name_is_shown_as_text(desk, screen):
    (desk.bay("bay-1") / "liuhen-source.json").write_text('{"serial":"R-1"}')
    desk.sweep()
    row = '<script src="//evil.example/x.js"></script>'
    desk.office.journal.show_bay("bay-1", state="attention", source=row, reason=row)
    with serve_kiosk(screen, 0, lambda _line: None) as port:
        _answer, text = ask(port)
    assert "&lt;script src=&#34;//evil" in text
    assert text.count("<script") == 1


def test_a_port_that_is_taken_does_not_stop_the_station(screen, caplog):
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        serve_kiosk(screen, other.getsockname()[1], lambda _line: None) as port,
    ):
        assert port is None
    assert "仓位大屏无法打开端口" in caplog.text


def test_without_the_setting_nothing_listens(screen):
    before = threading.active_count()
    with serve_kiosk(screen, screen.settings.screen_port, lambda _line: None) as port:
        assert port is None
        assert threading.active_count() == before


def test_the_port_is_free_again_after_the_end(screen):
    with serve_kiosk(screen, 0, lambda _line: None) as port:
        assert ask(port)[0].status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
