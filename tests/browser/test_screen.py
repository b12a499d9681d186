"""The screen at the dock in a real Chromium, before a real `liuhen station` that is killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests import office
from tests.office import FIRST, segment
from tests.servers.bad_link import bad_link
from tests.township import County, Township

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
_CHROMIUM = "/usr/bin/chromium"
_LIUHEN = Path(sys.executable).parent / "liuhen"


@dataclass
class Dock:
    """An enrolled township whose station runs as a process with a screen."""

    township: Township
    port: int
    process: subprocess.Popen | None = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        settings = self.township.settings
        bays = {name: str(root) for name, root in settings.bays.items()}
        given = {"HOME": settings.home, "IMMUTABLE": "false", "QUIET_S": "0.1", "SWEEP_S": "0.3"}
        given |= {"BAYS": json.dumps(bays), "SPOOL_RESERVE_GB": "0", "SCREEN_PORT": self.port}
        environment = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
        environment |= {f"LIUHEN_{name}": str(value) for name, value in given.items()}
        self.process = subprocess.Popen([_LIUHEN, "station"], env=environment)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def county(tmp_path):
    county = County.found(tmp_path / "county")
    with county.serve():
        yield county
    county.desk.office.close()


@pytest.fixture
def dock(county, tmp_path):  # ends before the centre does
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bays = {f"bay-{number}": tmp_path / f"bay-{number}" for number in range(1, 9)}
    for bay in bays.values():
        bay.mkdir()
    dock = Dock(Township(tmp_path, "s-screen", {"bays": bays}), port)
    yield dock
    if dock.process is not None and dock.process.poll() is None:
        dock.kill()


@pytest.fixture
def page():
    """A page of the size of the screen at the dock; nothing it does may break its own policy."""
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="zh-CN")
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda told: faults.append(told.text) if "Content Security" in told.text else None,
        )
        yield page
        browser.close()
        assert faults == []


def reached(page, dock):
    """Open the screen as soon as the station shows it."""
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", dock.port)) == 0:
                break
        assert dock.process.poll() is None, "the station ended"
        page.wait_for_timeout(100)
    page.goto(dock.address)


def test_an_operator_reads_every_bay_from_afar_and_a_dead_station_shows_nothing_green(
    county, dock, page, tmp_path
):
    first, second, third = (page.locator(f'[data-bay="bay-{number}"]') for number in (1, 2, 3))
    with bad_link(county.port) as link:
        dock.township.enrol(county, link.url)
        dock.start()
        reached(page, dock)
        expect(first.locator(".word")).to_have_text("空", timeout=20_000)
        expect(page.locator(".link")).to_have_text("已连接县中心", timeout=20_000)
        office.dock(dock.township, "bay-1", FIRST, segment(0, 3), segment(5, 3))
        expect(first.locator(".word")).to_have_text("可以取走", timeout=60_000)
        expect(first).to_contain_text(FIRST.serial)
        expect(first).to_contain_text("4 / 4 个文件")
        expect(first).to_have_css("background-color", "rgb(20, 113, 58)")
    (dock.township.bay("bay-2") / "note.txt").write_text("two")
    (dock.township.bay("bay-3") / "link").symlink_to("/etc/passwd")
    expect(second.locator(".word")).to_have_text("等待网络", timeout=60_000)
    expect(second).to_contain_text("请勿清除记录仪")
    expect(page.locator(".link")).to_have_attribute("data-link", "bad")
    expect(page.locator(".alarms")).to_contain_text("连不上县中心", timeout=20_000)
    expect(page.locator(".spool")).to_contain_text(re.compile("待上传 1 份,最早"))
    expect(third.locator(".word")).to_have_text("需要处理")
    expect(third).to_have_css("background-color", "rgb(179, 22, 27)")
    cover = page.locator(".dead:not(.now)")
    expect(cover).to_be_hidden()
    page.screenshot(path=tmp_path / "screen.png")
    assert dock.kill() == -signal.SIGKILL
    expect(cover).to_be_visible(timeout=12_000)
    expect(cover).to_contain_text("请勿取走记录仪")
    assert covers_everything(page)
    page.screenshot(path=tmp_path / "dead.png")
    dock.start()
    expect(cover).to_be_hidden(timeout=30_000)
    expect(first.locator(".word")).to_have_text("可以取走", timeout=60_000)
    assert dock.kill(signal.SIGTERM) == 0


def covers_everything(page):
    """Whether nothing but the cover can be seen at any of many places of the page."""
    return page.evaluate(
        "() => { for (let x = 5; x < innerWidth; x += 97) for (let y = 5; y < innerHeight; y += 61)"
        " if (!document.elementFromPoint(x, y).closest('.dead')) return false;"
        " return true }"
    )


def test_a_page_whose_script_died_covers_itself(county, dock, page):
    dock.township.enrol(county)
    dock.start()
    page.route("**/screen.js", lambda route: route.abort())
    reached(page, dock)
    cover = page.locator(".dead:not(.now)")
    expect(cover).to_be_hidden()
    expect(cover).to_be_visible(timeout=12_000)
