"""The stations' page in a real Chromium: a code, a real station that uses it, a revocation."""

import re

import pytest
from playwright.sync_api import expect, sync_playwright

from api.office.samples.sample_volume import write_segments
from api.station import process
from storage.errors import LiuhenError
from tests.office import FIRST, PASSWORD, segment
from tests.township import County, Township, sweep

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
_CHROMIUM = "/usr/bin/chromium"
_LIVE_MS = 20_000


@pytest.fixture
def county(tmp_path):
    county = County.found(tmp_path / "county")
    with county.serve():
        yield county
    county.desk.office.close()


@pytest.fixture
def browser():
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def faults():
    """What the pages' scripts threw, and what their policy stopped."""
    found = []
    yield found
    assert found == []


@pytest.fixture
def enter(county, browser, faults):
    """Log somebody in, in a browser window of his own; gives the stations' page."""

    def enter(name):
        context = browser.new_context(
            base_url=county.url,
            ignore_https_errors=True,
            locale="zh-CN",
            timezone_id="Europe/Berlin",
            viewport={"width": 1280, "height": 800},
        )
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: (
                faults.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )
        page.goto("/login")
        page.get_by_label("用户名").fill(name)
        page.get_by_label("密码").fill(PASSWORD)
        page.get_by_role("button", name="登录").click()
        page.wait_for_url(lambda url: "/login" not in url)
        page.goto("/stations")
        return page

    return enter


def test_a_code_is_given_a_real_station_enrols_turns_up_and_is_revoked(county, enter, tmp_path):
    page, onlooker = enter("guan"), enter("shen")
    expect(onlooker.locator('[data-station="ql-1"]')).to_have_count(0)
    expect(onlooker.get_by_role("button", name="发登记码")).to_have_count(0)

    page.get_by_text("登记新的采集站").click()
    page.get_by_label("编号").fill("ql-1")
    page.get_by_label("名称").fill("青龙镇采集站")
    page.get_by_label("乡镇").fill("青龙镇")
    page.locator("details").get_by_role("button", name="发登记码").click()
    dialog = page.locator("dialog#code")
    expect(dialog).to_be_visible()
    code = dialog.locator("[data-code]").inner_text()
    assert re.fullmatch(r"ql-1/([A-Z2-7]{4}-){7}[A-Z2-7]{4}", code)
    command = dialog.locator("[data-command]").inner_text()
    assert command == f"liuhen station enrol {county.url} {code} --ca county-ca.pem"
    expect(dialog.locator("[data-until]")).to_contain_text(re.compile(r"\d{4}/\d+/\d+"))
    page.get_by_role("button", name="已经记下").click()
    row = page.locator('[data-station="ql-1"]')
    expect(row).to_contain_text("待登记")
    assert code not in page.content()
    # and whoever only looks sees the new station turn up on the page that is open already
    seen = onlooker.locator('[data-station="ql-1"]')
    expect(seen).to_contain_text("待登记", timeout=_LIVE_MS)

    # A station of its own, over real HTTPS, with the command's words.
    township = Township(tmp_path / "ql", "ql-1")
    process.enrol_station(township.settings, county.url, code, county.authority.certificate)
    with township.open() as home:
        write_segments(township.bay("bay-1"), FIRST, [segment(0, 2)])
        sweep(home)
        home.report()
        for shown in (row, seen):
            expect(shown.locator(".tag")).to_have_text("有效", timeout=_LIVE_MS)
            expect(shown.locator('[data-state="delivering"]')).to_contain_text(
                "bay-1", timeout=_LIVE_MS
            )
            expect(shown).to_contain_text(re.compile(r"待上传 [1-9]\d* 份"))
        home.deliver()
        sweep(home)
        home.report()
        expect(row.locator('[data-state="safe"]')).to_contain_text("bay-1", timeout=_LIVE_MS)
        expect(row).to_contain_text("待上传 0 份")

        row.get_by_text("撤销", exact=True).click()
        row.get_by_label("撤销原因").fill("设备失窃")
        with page.expect_response("**/stations"):  # a look at the service goes by: what is
            pass  # typed stays
        expect(row.get_by_label("撤销原因")).to_have_value("设备失窃")
        row.get_by_role("button", name="立即撤销").click()
        expect(row.locator(".tag")).to_have_text("已撤销")
        expect(row).to_contain_text("已撤销:设备失窃")
        expect(row.locator('[data-state="safe"]')).to_have_count(0)
        expect(seen.locator(".tag")).to_have_text("已撤销", timeout=_LIVE_MS)
        with pytest.raises(LiuhenError) as refused:
            home.report()
        assert refused.value.code in {"enrolment-revoked", "centre-refused"}


def test_a_hostile_stations_words_are_text_on_the_page(county, enter, tmp_path):
    township = Township(tmp_path / "ql", "ql-1")
    township.enrol(county)
    evil = "<img src=x onerror=alert(1)>" + "W" * 200
    with township.open() as home:
        home.centre.client.measure_clock()
        told = {
            "bays": [{"name": evil, "state": evil, "reason": evil}] * 100,
            "spool": {"used": 1, "limit": 9, "waiting": 1, "oldest": evil, "alarms": [evil] * 20},
            "clock": home.clock().isoformat(),
            "offset_s": -1e300,
            "software": "<script>alert(2)</script>"[:60],
        }
        home.centre.client.request_json("PUT", "/status", told)
    page = enter("guan")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    row = page.locator('[data-station="ql-1"]')
    expect(row).to_contain_text("<img src=x onerror=alert(1)>")
    expect(row).to_contain_text("<script>alert(2)</script>")
    expect(row.locator("img, script")).to_have_count(0)
    width = page.locator("html").evaluate("e => e.scrollWidth")
    assert width <= 1280
    expect(row.get_by_role("button", name="发登记码")).to_be_in_viewport()


def test_a_page_without_its_service_shows_nothing_green(county, enter, tmp_path):
    township = Township(tmp_path / "ql", "ql-1")
    township.enrol(county)
    with township.open() as home:
        write_segments(township.bay("bay-1"), FIRST, [segment(0, 2)])
        sweep(home)
        home.deliver()
        sweep(home)
        home.report()
    page = enter("guan")
    lamp = page.locator('[data-station="ql-1"] [data-state="safe"] .lamp')
    expect(lamp).to_have_css("background-color", "rgb(31, 157, 85)")
    page.context.set_offline(True)
    expect(page.locator("[data-offline]")).to_be_visible(timeout=_LIVE_MS)
    expect(lamp).to_have_css("background-color", "rgb(184, 192, 203)")
    page.context.set_offline(False)
    expect(page.locator("[data-offline]")).to_be_hidden(timeout=_LIVE_MS)
    expect(lamp).to_have_css("background-color", "rgb(31, 157, 85)")
