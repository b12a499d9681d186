"""The page 保管 in a real Chromium: proposed by one, approved by another, held, released."""

import os
import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from policies.access.access import Role
from tests.aged_office import AgedDesk
from tests.browser.test_console import chromium, log_in, served  # noqa: F401 - fixtures
from tests.keeping import TOWNSHIP
from tests.office import PASSWORD

WHY_NOT = {"zhang": "本事项与您有关", "shen": f"只有作出它的“{TOWNSHIP}人民政府”可以解除"}

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = AgedDesk.aged(tmp_path_factory.mktemp("office"))
    for name in ("zhao", "qian"):
        desk.persons[name] = desk.service.identity.create_person(
            username=name, password=PASSWORD, role=Role.HEAD, name=f"{name}某", township=TOWNSHIP
        )
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


def seen(page, name):
    """Keep a picture, where somebody wants to look."""
    if folder := os.environ.get("LIUHEN_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_one_person_proposes_from_the_due_list_and_another_approves(desk, pages):
    first, second = desk.keep(), desk.keep()
    fresh = desk.keep(timedelta(days=180))
    head = pages("zhao")
    head.goto(f"/recordings/{second}")
    head.get_by_text("冻结这条录像").click()
    head.locator("#kept").get_by_label("事由").select_option("investigation")
    head.get_by_role("button", name="冻结", exact=True).click()
    expect(head.locator("#kept")).to_contain_text("由原机关解除前不得处置")
    seen(head, "recording")

    head.get_by_role("link", name="保管", exact=True).click()
    expect(head.locator(f"#due input[value='{first}']")).to_be_visible()
    expect(head.locator(f"#due input[value='{second}']")).to_have_count(0)
    expect(head.locator("#due")).not_to_contain_text(fresh)
    expect(head.locator("#due")).to_contain_text("期限已到但继续保管")
    expect(head.locator("#holds")).to_contain_text("人民政府")
    head.locator("#due summary").first.click()
    seen(head, "keeping")

    head.get_by_label("处置理由").fill("保管期限届满")
    head.get_by_role("button", name="提出处置").click()  # nothing chosen
    expect(head.locator("#problem")).to_contain_text("没有选择任何录音录像")
    head.get_by_role("button", name="知道了").click()
    head.locator(f"#due input[value='{first}']").check()
    head.get_by_role("button", name="提出处置").click()
    head.wait_for_url("**/keeping/*")
    expect(head.locator("h1")).to_contain_text("待审批")
    expect(head.locator("main")).to_contain_text("您不能审批")
    expect(head.get_by_role("button", name="批准销毁")).to_have_count(0)
    seen(head, "proposed")

    other = pages("qian")
    other.goto("/keeping")
    other.locator("#open").get_by_role("button", name="批准销毁").click()
    expect(other.locator("#open")).to_contain_text("冷静期到")
    expect(other.locator("#open")).to_contain_text("开始执行前可以撤回")
    seen(other, "approved")
    officer = pages("zhang")
    officer.goto("/keeping")
    expect(officer.locator("#open")).to_contain_text("冷静期到")
    expect(officer.get_by_role("button", name=re.compile("批准|提出|撤回"))).to_have_count(0)


def test_a_release_waits_for_another_person_who_rejects_or_approves_it(desk, pages):
    """Of the one hold that stands here: the test before this one placed it."""
    head, other = pages("zhao"), pages("qian")
    other.goto("/keeping")
    other.locator("#holds").get_by_text("提议解除", exact=True).first.click()
    other.get_by_label("解除理由").fill("调查完毕")
    other.get_by_role("button", name="提议解除").click()
    expect(other.locator("#holds")).to_contain_text("已提议解除")
    expect(other.locator("#releases")).to_contain_text("您不能批准:提出解除冻结的人不得自己批准")
    expect(other.get_by_role("button", name="批准解除")).to_have_count(0)
    seen(other, "release-own")

    head.goto("/keeping")
    expect(head.locator("#releases")).to_contain_text("解除理由:调查完毕")
    expect(head.locator("#releases")).to_contain_text("qian某")
    head.locator("#releases").get_by_text("驳回", exact=True).first.click()
    head.locator("#releases").get_by_label("驳回原因").fill("仍需调阅")
    head.locator("#releases").get_by_role("button", name="驳回").click()
    expect(head.locator("#releases")).to_have_count(0)
    expect(head.locator("#holds")).to_contain_text("人民政府")
    head.locator("#holds").get_by_text("提议解除", exact=True).first.click()
    head.get_by_label("解除理由").fill("确已查毕")
    head.get_by_role("button", name="提议解除").click()
    expect(head.locator("#releases")).to_contain_text("确已查毕")
    other.goto("/keeping")
    seen(other, "release-other")
    other.locator("#releases").get_by_role("button", name="批准解除").click()
    expect(other.locator("#holds")).to_contain_text("没有冻结")


def test_a_later_day_is_foretold_and_what_waits_is_withdrawn(desk, pages):
    desk.keep()
    fresh, head = desk.keep(timedelta(days=180)), pages("zhao")
    head.goto("/keeping")
    head.get_by_role("button", name="全选本页").click()
    head.get_by_label("处置理由").fill("保管期限届满")
    head.get_by_role("button", name="提出处置").click()
    head.wait_for_url("**/keeping/*")
    day = (desk.clock.at + timedelta(days=10)).date().isoformat()
    head.goto(f"/keeping?day={day}")
    expect(head.locator("#due")).to_contain_text("届时可以处置")
    expect(head.locator(f"#due a[href='/recordings/{fresh}']")).to_be_visible()
    expect(head.locator("#due input[type=checkbox]")).to_have_count(0)
    head.locator("#open article").first.locator("summary").click()
    head.locator("#open article").first.get_by_label("撤回原因").fill("另行研究")
    head.locator("#open article").first.get_by_role("button", name="撤回").click()
    expect(head.locator("#ended")).to_contain_text("撤回原因:另行研究")
    seen(head, "later")


def test_a_case_is_held_from_its_page_and_released_there(desk, pages):
    case, action = desk.seizure(number="冻1")
    head = pages("zhao")
    head.goto(f"/cases/{case}")
    holds = head.locator("#holds")
    expect(holds).to_contain_text("没有冻结")
    holds.get_by_text("冻结这个案件").click()
    holds.get_by_label("事由").select_option("litigation")
    holds.get_by_label("说明").fill("法院调卷")
    holds.get_by_role("button", name="冻结", exact=True).click()
    expect(holds).to_contain_text("冻结中 1 项")
    for told in ("行政诉讼", "法院调卷", f"{TOWNSHIP}人民政府", "zhao某", "冻1"):
        expect(holds).to_contain_text(told)
    seen(head, "case")

    for name, path in (("zhang", f"/actions/{action}"), ("shen", f"/cases/{case}")):
        page = pages(name)
        page.goto(path)
        expect(page.locator("#holds")).to_contain_text(WHY_NOT[name])
        expect(page.locator("#holds summary")).to_have_count(0 if name == "zhang" else 1)
        seen(page, f"case-{name}")

    head.goto("/keeping")
    row = head.locator("#holds tr", has_text="法院调卷")
    row.get_by_role("link", name=re.compile("冻1")).click()
    head.wait_for_url(f"**/cases/{case}")
    holds.get_by_text("提议解除", exact=True).first.click()
    holds.get_by_label("解除理由").fill("判决生效")
    holds.get_by_role("button", name="提议解除").click()
    expect(holds).to_contain_text("由另一人在“保管”页决定")
    officer = pages("zhang")
    officer.goto("/keeping")
    expect(officer.locator("#releases")).to_contain_text("判决生效")
    expect(officer.locator("#releases")).to_contain_text("您不能批准:本事项与您有关")
    expect(officer.locator("#releases button")).to_have_count(0)
    seen(officer, "release-concerned")
    reviewer = pages("shen")
    reviewer.goto("/keeping")
    reviewer.locator("#releases").get_by_role("button", name="批准解除").click()
    expect(reviewer.locator("#releases")).to_have_count(0)
    head.goto(f"/cases/{case}")
    expect(holds).to_contain_text("没有冻结")
    head.goto("/keeping")
    expect(row).to_have_count(0)


def test_a_keeper_without_any_right_has_no_such_page(pages):
    page = pages("wang")
    page.goto("/keeping")
    expect(page.locator("main")).to_contain_text("没有进行这项操作的权限")
    expect(page.get_by_role("link", name="保管", exact=True)).to_have_count(0)
