"""A closed action in a real Chromium: its verdict, and what was found later, apart and dated."""

import re

import pytest
from playwright.sync_api import expect

from tests.attacks.later_attacks import dock_unrelated, end_certificate
from tests.browser.test_console import (  # noqa: F401 - fixtures
    address,
    chromium,
    log_in,
    page,
    served,
)
from tests.office import FIRST, SECOND, Desk, dock, segment

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def closed(desk):
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    dock(desk, "bay-2", SECOND, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    assert desk.close(action).allowed
    return case, action


def test_what_is_found_after_a_closing_stands_apart_from_its_verdict(desk, closed, page):  # noqa: F811
    case, action = closed
    log_in(page, "zhang")
    page.goto(f"/actions/{action}")
    expect(page.locator("main")).to_contain_text("的结论,此后的事实不改变它")
    expect(page.locator(".later")).to_have_count(0)
    at_the_closing = page.locator(".findings").first.inner_text()

    dock_unrelated(desk)
    end_certificate(desk)
    for path in (f"/actions/{action}", f"/cases/{case}"):
        page.goto(path)
        expect(page.locator("main")).to_contain_text("已办结")
        later = page.locator(".later")
        expect(later.get_by_role("heading")).to_contain_text("后来发现")
        expect(later).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d.*不改变办结时的结论"))
        expect(later.locator("li")).not_to_have_count(0)
        expect(later).not_to_contain_text("阻断")  # nothing is stopped any more
        expect(page.locator("li.bad")).to_have_count(0)
    page.goto(f"/actions/{action}")
    assert page.locator(".findings").first.inner_text() == at_the_closing
