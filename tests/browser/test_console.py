"""The console in a real Chromium: log in, find, play, confirm, be refused, close, verify."""

import re
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from api.app import create_app
from api.station.threads import Worker
from ingest.bays.settle import Patience
from tests.office import FIRST, PASSWORD, SECOND, Desk, dock, segment

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
_CHROMIUM = "/usr/bin/chromium"


@contextmanager
def served(desk):
    """Run the real service with the real station on a free port; gives its address."""
    office = desk.office
    station = office.build_station(patience=Patience(0, 1000))
    station.at_once = 1  # lists are in the order in which files were begun: one after the other
    worker = Worker(station, [*office.list_bays(), office.handed_in], 0.3)
    app = create_app(desk.service, worker.start, worker.stop)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def address(desk):
    with served(desk) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    """A page that fails the test when the console's script throws or a policy is broken."""
    context = chromium.new_context(base_url=address, locale="zh-CN", timezone_id="Europe/Berlin")
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda message: (
            faults.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield page
    context.close()
    assert faults == []


def log_in(page, name):
    page.goto("/login")
    page.get_by_label("用户名").fill(name)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(lambda url: "/login" not in url)


def eventually(page, expression):
    """Wait until the video says so; the page's own policy forbids Playwright's waiting by eval."""
    for _ in range(200):
        if page.locator("video").evaluate(f"video => {expression}"):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def test_without_a_login_every_page_leads_to_the_login(page):
    for path in ("/", "/bays", "/recordings", "/cases", "/custody"):
        page.goto(path)
        expect(page).to_have_url(re.compile("/login"))
    expect(page).to_have_title("登录 · 留痕")


def test_a_wrong_password_is_told_in_chinese(page):
    page.goto("/login")
    page.get_by_label("用户名").fill("zhang")
    page.get_by_label("密码").fill("wrong")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("用户名或密码不对")


def test_an_operator_sees_a_docked_recorder_turn_green_without_reloading(desk, page):
    log_in(page, "wang")
    page.goto("/bays")
    bay = page.locator('[data-bay="bay-1"]')
    expect(bay).to_have_attribute("data-state", "empty")
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8), segment(26, 14))
    expect(bay).to_have_attribute("data-state", "safe", timeout=30_000)
    expect(bay).to_contain_text("全部入库,可以取走")
    expect(bay).to_contain_text("0000012")
    expect(bay).to_contain_text("6 / 6")


def test_an_operator_sees_no_footage_and_no_case(page):
    log_in(page, "wang")
    expect(page.get_by_role("navigation")).not_to_contain_text("案件")
    page.goto("/cases")
    expect(page.locator("main")).to_contain_text("您没有进行这项操作的权限")
    page.goto("/recordings")
    page.get_by_role("link", name=re.compile("MP4")).first.click()
    expect(page.locator("main")).to_contain_text("您的角色不能查看录像内容")
    expect(page.locator("video")).to_have_count(0)


def test_an_officer_finds_and_plays_a_recording_at_once(page):
    log_in(page, "zhang")
    page.goto("/recordings?text=0000012&kind=video")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("link", name=re.compile(r"_0001\.MP4")).click()
    video = page.locator("video")
    video.evaluate("video => { video.muted = true; return video.play(); }")
    eventually(page, "video.currentTime > 0.3")
    assert video.evaluate("video => video.videoWidth") == 320
    # seeking asks for another range of the sealed payload
    video.evaluate("video => { video.pause(); video.currentTime = 12; }")
    eventually(page, "!video.seeking")
    before = video.evaluate("video => video.currentTime")
    page.get_by_role("button", name="下一帧").click()
    eventually(page, f"video.currentTime > {before}")
    expect(page.locator("[data-clock]")).to_contain_text("2026/11/20")
    page.reload()
    expect(page.locator(".custody")).to_contain_text("调阅")
    expect(page.locator(".custody")).to_contain_text("127.0.0.1")


def test_a_seizure_with_a_gap_is_refused_and_closes_when_the_gap_is_filled(desk, page):
    case, action = desk.seizure(30)
    log_in(page, "zhang")
    page.goto(f"/cases/{case}")
    expect(page.locator("main")).to_contain_text("不能办结")
    page.get_by_role("link", name=re.compile("查封扣押")).click()
    page.get_by_role("button", name="按人员和时间查找录像").click()
    expect(page.get_by_text("待确认")).to_have_count(3)
    for confirmed in (1, 2, 3):
        page.get_by_role("button", name="确认").first.click()
        # What waits for its answer has no button either: only the next page says that it is done.
        expect(page.get_by_text("已确认")).to_have_count(confirmed)
    page.get_by_role("button", name="办结").click()
    problem = page.locator("dialog#problem")
    expect(problem).to_be_visible()
    expect(problem).to_contain_text("按规定现在不能结束")
    expect(problem).to_contain_text("第八条")
    page.get_by_role("button", name="知道了").click()
    expect(page.locator(".ribbon rect.gap").first).to_be_attached()

    dock(desk, "bay-2", SECOND, segment(8, 30))
    page.goto("/bays")
    expect(page.locator('[data-bay="bay-2"]')).to_have_attribute(
        "data-state", "safe", timeout=30_000
    )
    page.goto(f"/actions/{action}")
    page.get_by_role("button", name="按人员和时间查找录像").click()
    page.get_by_role("button", name="确认").click()
    expect(page.get_by_text("待确认")).to_have_count(0)
    page.get_by_role("button", name="办结").click()
    expect(page.locator("h1")).to_contain_text("已办结")
    expect(page.locator(".ribbon .total")).to_contain_text("100.0%")


def test_a_click_on_a_half_loaded_page_is_not_lost(desk, page):
    _, action = desk.seizure(30, number="兴乡执罚〔2026〕2号")
    log_in(page, "zhang")

    def on_a_bad_link(route):
        time.sleep(1)
        route.continue_()

    page.route("**/console.js", on_a_bad_link)
    page.goto(f"/actions/{action}", wait_until="commit")
    page.get_by_role("button", name="按人员和时间查找录像").click()
    expect(page.get_by_text("待确认")).not_to_have_count(0)
    assert not page.url.endswith("?")


def test_a_case_is_opened_and_an_action_added_in_county_time(page):
    log_in(page, "zhang")
    page.goto("/cases")
    page.get_by_text("新建案件").click()
    page.get_by_label("案号").fill("兴乡执罚〔2026〕99号")
    page.get_by_label("案由").fill("擅自堆放<script>alert(1)</script>")
    page.get_by_label("当事人").fill("钱某")
    page.get_by_role("button", name="建档").click()
    expect(page.locator("h1")).to_contain_text("擅自堆放<script>alert(1)</script>")
    page.get_by_text("登记执法活动", exact=True).click()
    page.get_by_label("种类").select_option("interview")
    page.get_by_label("地点").fill("询问室")
    page.get_by_label("开始时间").fill("2026-11-20T09:00:00")
    page.get_by_label("执法人员").select_option(label=["zhang某(000123)", "li某(000456)"])
    page.get_by_role("button", name="登记").click()
    expect(page.locator("h1")).to_contain_text("询问 询问室")
    expect(page.locator("main")).to_contain_text("2026-11-20 09:00:00")


def test_a_reviewer_downloads_a_bundle_and_verifies_everything(page, tmp_path):
    import zipfile

    from storage.bundle.verify import verify

    log_in(page, "shen")
    page.goto("/cases")
    page.get_by_role("link", name="兴乡执罚〔2026〕1号").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="导出证据包").click()
    waiting.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "out")
    (bundle,) = (tmp_path / "out").iterdir()
    assert verify(bundle).passed
    page.goto("/custody")
    page.get_by_role("button", name="开始核验").click()
    expect(page.locator("[data-result]")).to_contain_text("核验通过", timeout=30_000)


def test_a_lost_connection_never_leaves_a_green_light(desk, chromium):
    with served(desk) as address:
        context = chromium.new_context(base_url=address, locale="zh-CN")
        page = context.new_page()
        log_in(page, "wang")
        page.goto("/bays")
        bay = page.locator('[data-bay="bay-1"]')
        expect(bay).to_have_attribute("data-state", "safe", timeout=30_000)
        context.set_offline(True)
        expect(page.locator("[data-offline]")).to_be_visible(timeout=10_000)
        expect(bay).to_have_attribute("data-state", "unknown")
        context.close()


def test_logging_out_ends_it(page):
    log_in(page, "li")
    page.get_by_role("button", name="退出").click()
    expect(page).to_have_url(re.compile("/login"))
    page.goto("/cases")
    expect(page).to_have_url(re.compile("/login"))
