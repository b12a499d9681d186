"""The console on a case's way: explanations, moments, the scene code, in a real Chromium."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from policies.access.access import Role
from policies.scene_code import is_authentic, parse_scene_code
from tests import clocks
from tests.browser.test_console import chromium, log_in, served  # noqa: F401 - fixtures
from tests.office import FIRST, PASSWORD, SEIZED_AT, Desk, dock, segment

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    desk.persons["zhao"] = desk.service.identity.create_person(
        username="zhao",
        password=PASSWORD,
        role=Role.HEAD,
        name="赵正",
        township=desk.office.settings.township,
    )
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8))
    desk.sweep()
    # explanations have days: the office's clock stands at the day after the seizure
    desk.office.catalogue._clock = lambda: datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
    clocks.accept(desk.office.catalogue)
    yield desk
    desk.office.close()


@pytest.fixture
def pages(desk, chromium):  # noqa: F811
    with served(desk) as address:
        contexts = []

        def open_as(name):
            context = chromium.new_context(base_url=address, locale="zh-CN")
            contexts.append(context)
            page = context.new_page()
            log_in(page, name)
            return page

        yield open_as
        for context in contexts:
            context.close()


def test_an_explanation_is_handed_in_approved_and_stays_to_be_seen(desk, pages):
    case, action = desk.seizure(30)
    desk.link(action)
    officer = pages("zhang")
    officer.goto(f"/actions/{action}")
    whole = officer.locator(".findings li", has_text="查封扣押全程音像记录")
    expect(whole).to_have_class(re.compile("bad"))
    whole.locator("summary").click()
    whole.get_by_label("理由").select_option("equipment")
    whole.get_by_label("说明").fill("记录仪电池故障,更换后继续录制。")
    whole.get_by_role("button", name="提交").click()
    expect(whole).to_contain_text("情况说明待审批")

    head = pages("zhao")
    head.goto(f"/cases/{case}")
    expect(head.locator("main")).to_contain_text("待审批")
    head.get_by_role("button", name="批准", exact=True).click()
    expect(head.locator("main")).to_contain_text("已批准")

    officer.reload()
    expect(whole).to_contain_text("已说明")
    officer.get_by_role("button", name="办结").click()
    expect(officer.locator("h1")).to_contain_text("已办结")
    expect(whole).to_contain_text("已有经批准的情况说明:设备故障")
    expect(officer.locator(".ribbon rect.gap").first).to_be_attached()
    expect(officer.locator(".ribbon rect.moment").first).to_be_attached()
    officer.goto(f"/cases/{case}")
    expect(officer.locator("main")).to_contain_text("能否往下走")
    expect(officer.locator("main")).to_contain_text("不能转入“审查”")


def test_a_moment_is_marked_and_the_scene_code_changes_each_second(desk, pages):
    from policies.facts.stages import ActionKind, Stage
    from storage.catalogue.cases import cases

    with desk.office.catalogue.write() as uow:
        case = cases.open_case(
            uow,
            number="码1",
            title="t",
            party="p",
            township=desk.office.settings.township,
            actor="system",
            stage=Stage.INVESTIGATION,
        )
        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.INSPECTION,
            place="村口",
            start_at=SEIZED_AT,
            officers=[desk.persons["zhang"]],
            actor="system",
        )
    page = pages("zhang")
    page.goto(f"/actions/{action.id}")
    page.get_by_label("时刻").select_option("identity")
    page.get_by_role("button", name="标记", exact=True).click()
    expect(page.locator("main")).to_contain_text("亮证表明身份 2026-11-20")
    page.get_by_role("link", name="显示场景码").click()
    seen = set()
    for _ in range(3):
        with page.expect_response(re.compile("scene-code")) as waiting:
            pass
        parsed = parse_scene_code(waiting.value.json()["text"])
        assert parsed is not None
        assert is_authentic(parsed, desk.office.ring.scene_key)
        seen.add(parsed.at)
    assert len(seen) >= 2
    picture = page.locator("[data-picture]")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0


def test_what_is_due_is_listed(pages):
    page = pages("zhang")
    page.get_by_role("link", name="到期事项").click()
    expect(page.locator("main")).to_contain_text("查封扣押期限")
    expect(page.locator(".tag").first).to_be_visible()
