"""A case officer hands files in from the page 录像, in a real Chromium."""

import os
import re
import time

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from storage.catalogue.stations.tables import HandedInRow
from tests.browser.test_console import address, chromium, desk, log_in, page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
__all__ = ["address", "chromium", "desk", "page"]
MIB = 1 << 20


def panel_of(page):
    log_in(page, "zhang")
    page.goto("/recordings")
    panel = page.locator("[data-hand-in]")
    if panel.get_attribute("open") is None:
        panel.get_by_text("递交文件", exact=True).click()
    return panel


def throttle(page, bytes_per_s):
    """Let the browser's link be so slow; -1 is as fast as it can."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_per_s,
        },
    )


def kept(desk, name):
    with desk.office.catalogue.read() as session:
        return session.scalar(select(HandedInRow).where(HandedInRow.file_name == name))


def test_a_real_clip_is_handed_in_and_found_in_the_list(page, footage):
    clip = footage / "debian-forensics-samples-files__VID_20191220_170832.mp4"
    panel = panel_of(page)
    panel.get_by_label("选择文件").set_input_files(clip)
    line = panel.locator("li", has_text=clip.name)
    expect(line).to_contain_text("已入库", timeout=60_000)
    page.goto("/recordings?text=VID_20191220")
    found = page.get_by_role("row", name=re.compile(re.escape(clip.name)))
    expect(found).to_contain_text("已入库")
    found.get_by_role("link").first.click()
    custody = page.locator(".custody")
    expect(custody).to_contain_text("递交文件")
    expect(custody).to_contain_text("zhang某")
    expect(custody).to_contain_text("127.0.0.1")
    video = page.locator("video")
    video.evaluate("video => { video.muted = true; return video.play(); }")
    assert video.evaluate("video => video.videoWidth") > 0


def test_a_paused_upload_goes_on_after_a_reload(desk, page, tmp_path):
    file = tmp_path / "笔录扫描件.bin"
    file.write_bytes(os.urandom(3 * MIB))
    panel = panel_of(page)
    throttle(page, MIB // 2)
    panel.get_by_label("选择文件").set_input_files(file)
    line = panel.locator("li", has_text=file.name)
    expect(line.get_by_role("status")).to_contain_text("/秒", timeout=20_000)
    deadline = time.monotonic() + 30
    while not ((row := kept(desk, file.name)) and row.offset > MIB // 4):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    line.get_by_role("button", name="暂停").click()
    expect(line).to_contain_text("已暂停")
    page.reload()
    line = panel.locator("li", has_text=file.name)
    expect(line).to_contain_text("未传完")
    offsets = []
    page.on(
        "request",
        lambda one: offsets.append(one.headers["upload-offset"]) if one.method == "PATCH" else None,
    )
    throttle(page, -1)
    panel.get_by_label("选择文件").set_input_files(file)
    expect(line).to_have_count(1)
    expect(line).to_contain_text("已入库", timeout=60_000)
    assert int(offsets[0]) > MIB // 4
    row = kept(desk, file.name)
    assert row.offset == row.size == 3 * MIB


def test_a_link_that_drops_is_taken_up_again_without_a_person(page, tmp_path):
    file = tmp_path / "断网.bin"
    file.write_bytes(os.urandom(MIB // 4))
    panel = panel_of(page)
    dropped = []

    def drop(route):
        if len(dropped) < 2 and route.request.method == "PATCH":
            dropped.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/v1/submissions/**", drop)
    panel.get_by_label("选择文件").set_input_files(file)
    line = panel.locator("li", has_text=file.name)
    expect(line).to_contain_text("自动重试")
    expect(line).to_contain_text("已入库", timeout=60_000)
    assert len(dropped) == 2


def test_a_refusal_says_what_to_do(page, tmp_path):
    file = tmp_path / "没传完.mp4.part"
    file.write_bytes(b"half")
    panel = panel_of(page)
    panel.get_by_label("选择文件").set_input_files(file)
    line = panel.locator("li", has_text=file.name)
    expect(line).to_contain_text("请改名后重新选择该文件")
    line.get_by_role("button", name="放弃").click()
    expect(line).to_have_count(0)


def test_what_was_begun_can_be_given_up(desk, page, tmp_path):
    file = tmp_path / "不要了.bin"
    file.write_bytes(os.urandom(2 * MIB))
    panel = panel_of(page)
    throttle(page, MIB // 4)
    panel.get_by_label("选择文件").set_input_files(file)
    line = panel.locator("li", has_text=file.name)
    expect(line.get_by_role("status")).to_contain_text("/秒", timeout=20_000)
    line.get_by_role("button", name="放弃").click()
    expect(line).to_have_count(0)
    assert kept(desk, file.name) is None


def test_who_may_not_hand_in_sees_no_panel(page):
    log_in(page, "wang")
    page.goto("/recordings")
    expect(page.locator("[data-hand-in]")).to_have_count(0)
