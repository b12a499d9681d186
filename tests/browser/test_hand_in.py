"""A case officer hands files in from the page 录像, in a real Chromium."""

import base64
import hashlib
import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from api.console import rendering
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


# FIPS 180-4's examples (CSRC), and sizes around a block and its padding.
MESSAGES = [
    b"",
    b"abc",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    b"a" * 1_000_000,
]
MESSAGES += [bytes(range(256)) * 2 + b"x" * size for size in (54, 55, 56, 57, 63, 64, 65, 119, 120)]
KNOWN = {
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    MESSAGES[2]: "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    MESSAGES[3]: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}
HASH = """async ([text, piece]) => {
  const { sha256 } = await import("/static/vendor/noble-sha256.js");
  const message = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const hash = sha256.create();
  for (let at = 0; at < message.length; at += piece) hash.update(message.subarray(at, at + piece));
  return Array.from(hash.digest());
}"""
VENDORED = "ce4dcef0203d6ff7b5507669a89cbfae95b97d47a48c72a76debacc85fecb055"


def test_the_browser_hashes_known_messages_whatever_the_pieces(page):
    log_in(page, "zhang")
    page.goto("/recordings")
    for message in MESSAGES:
        expected = hashlib.sha256(message).digest()
        assert expected.hex() == KNOWN.get(message, expected.hex())
        text = base64.b64encode(message).decode()
        for piece in (61, 64, 4 << 20):
            assert bytes(page.evaluate(HASH, [text, piece])) == expected


def test_the_vendored_hash_is_the_one_that_was_reviewed():
    folder = Path(rendering.HERE) / "static" / "vendor"
    vendored = (folder / "noble-sha256.js").read_bytes()
    assert hashlib.sha256(vendored).hexdigest() == VENDORED
    assert b"MIT License" in (folder / "noble-hashes.LICENSE.txt").read_bytes()


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
