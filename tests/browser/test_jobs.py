"""The page of jobs in a real Chromium, before a real service whose own worker does them."""

import re
import threading
import time

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from api.app import create_app
from api.jobs.worker import start_jobs
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State
from storage.catalogue.recordings import recordings
from tests.office import FIRST, PASSWORD, Desk, dock, segment

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
_CHROMIUM = "/usr/bin/chromium"
_PATIENCE_MS = 60_000


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path, worker_silent_s=2)
    for path in dock(desk, "bay-1", FIRST, segment(0, 2)):
        path.with_suffix(".log").unlink()
    desk.sweep()
    yield desk
    desk.office.close()


@pytest.fixture
def address(desk):
    config = uvicorn.Config(create_app(desk.service), port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def page(address):
    """The administrator's page; it fails the test when a script throws or a policy is broken."""
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(base_url=address, locale="zh-CN")
        page = context.new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: (
                faults.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )
        page.goto("/login")
        page.get_by_label("用户名").fill("guan")
        page.get_by_label("密码").fill(PASSWORD)
        page.get_by_role("button", name="登录").click()
        page.wait_for_url(lambda url: "/login" not in url)
        yield page
        browser.close()
    assert faults == []


def given_up(desk):
    """Return a job whose workers died again and again, until it was given up."""
    with desk.office.catalogue.write() as uow:
        job = jobs.request_job(uow, "due", "system", actor="system").id
    for turn in range(jobs.TRIES + 1):
        with desk.office.catalogue.write() as uow:
            life = jobs.register_worker(uow, f"old-{turn}", over=None)
            jobs.claim_job(uow, job, 1, life)
            jobs.deregister_worker(uow, life)
    with desk.office.catalogue.read() as session:
        assert jobs.by_id(session, job).state == State.FAILED
    return job


def test_a_failed_job_is_tried_again_and_a_scrub_is_asked_for_and_both_are_seen_done(desk, page):
    job = given_up(desk)
    page.get_by_role("link", name="后台作业").click()
    expect(page.locator("h1")).to_contain_text("1 项失败,需处理")
    expect(page.locator("#workers")).to_contain_text("没有运行中的作业进程")
    row = page.locator(f'[data-job="{job}"]')
    expect(row).to_contain_text("执行该作业的进程多次异常终止")
    expect(row).to_contain_text("连续失败 8 次")
    row.get_by_role("button", name="重试").click()
    expect(row).to_contain_text("等待")
    expect(page.locator("h1")).to_contain_text("没有失败的作业")

    page.get_by_text("各类作业").click()
    page.locator('[data-kind="scrub"]').get_by_role("button", name="立即执行").click()
    scrub = page.locator("[data-job]").filter(has_text="定期巡检")
    expect(scrub).to_contain_text("guan某")
    expect(scrub).to_contain_text("等待")
    asked = scrub.get_attribute("data-job")  # the worker will ask for the day's own beside it
    scrub = page.locator(f'[data-job="{asked}"]')

    # From here on nobody touches the page: the service's own worker begins.
    page.locator("h1").evaluate("h1 => { document.body.dataset.untouched = 'yes'; }")
    stop = start_jobs(desk.office)
    try:
        expect(page.locator("#workers")).to_contain_text("运行中", timeout=_PATIENCE_MS)
        for done in (row, scrub):
            expect(done.locator(".tag")).to_have_text("完成", timeout=_PATIENCE_MS)
        verify = page.locator("[data-job]").filter(has_text="完整性核验").first
        expect(verify.locator(".tag")).to_have_text("完成", timeout=_PATIENCE_MS)
        expect(page.locator("body[data-untouched=yes]")).to_have_count(1)
    finally:
        stop()
    shown = page.locator("[data-job]").evaluate_all("rows => rows.map(row => row.dataset.job)")
    with desk.office.catalogue.read() as session:
        assert set(shown) == {one.id for one in jobs.list_jobs(session)}
        assert len(shown) == len(set(shown))
    expect(page.locator("#workers")).to_contain_text("没有运行中的作业进程", timeout=_PATIENCE_MS)


def test_a_recording_is_verified_by_its_number_and_a_wrong_one_is_told_in_chinese(desk, page):
    page.goto("/jobs")
    page.get_by_text("各类作业").click()
    line = page.locator('[data-kind="verify"]')
    line.get_by_label("录像编号").fill("00000000-0000-0000-0000-000000000007")
    line.get_by_role("button", name="立即执行").click()
    problem = page.locator("dialog#problem")
    expect(problem).to_contain_text("没有找到")
    page.get_by_role("button", name="知道了").click()
    with page.expect_response(re.compile("/jobs$")):  # what is typed stays through a look
        pass
    expect(line.get_by_label("录像编号")).to_have_value("00000000-0000-0000-0000-000000000007")
    with desk.office.catalogue.read() as session:
        recording = next(iter(recordings.iterate_recordings(session))).id
    line.get_by_label("录像编号").fill(recording)
    line.get_by_role("button", name="立即执行").click()
    expect(page.locator("[data-job]")).to_contain_text("完整性核验")
    for kind in ("inspect", "rendition", "destroy", "hold"):
        expect(page.locator(f'[data-kind="{kind}"] button')).to_have_count(0)
