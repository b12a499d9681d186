"""What is coming: who sees it, what it says, and the page with its plot."""

import pytest

from api.console.forecast_page import plot_forecast
from api.office.reports.forecast import build_outlook
from policies.retention.capacity import WEEKS


def test_the_outlook_counts_what_is_kept(clients, desk, videos):
    told = clients.shen.get("/api/v1/outlook").json()
    assert len(told["weeks"]) == WEEKS
    assert told["weeks"][0] == sum(one["kept"] for one in told["stocks"])
    assert told["weeks"][0] >= sum(item["size"] for item in videos)
    assert told["due_in_30_days"] == 0
    assert told["unlinked_after_7_days"] == []
    assert told["capacity"] > told["weeks"][0]


def test_a_township_sees_its_own_and_no_capacity(clients):
    told = clients.zhang.get("/api/v1/outlook").json()
    assert told["capacity"] is None


def test_nobody_and_administrators_are_refused(clients):
    assert clients.nobody.get("/api/v1/outlook").status_code == 401
    assert clients.guan.get("/api/v1/outlook").status_code == 403


def test_the_page_draws_a_curve_within_its_box(clients, desk):
    page = clients.shen.get("/outlook").text
    assert "保管预测" in page
    assert "<polyline points=" in page
    drawn = plot_forecast(build_outlook(desk.office, None))
    points = [tuple(map(float, point.split(","))) for point in drawn.line.split()]
    assert len(points) == WEEKS
    assert all(0 <= x <= 100 and 0 <= y <= 40 for x, y in points)
    assert points[0][0] == 0
    assert points[-1][0] == pytest.approx(100)


def test_what_came_in_late_is_named(clients, desk):
    """The clips say January; they came in in November."""
    told = clients.shen.get("/api/v1/outlook").json()["later_than_24_hours"]
    page = clients.shen.get("/outlook").text
    assert all(one["name"] in page for one in told)
