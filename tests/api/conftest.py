"""One office with docked footage for the faces' tests, and a client for each of its people."""

from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests.office import FIRST, PASSWORD, SECOND, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8))
    dock(desk, "bay-2", SECOND, segment(8, 30))
    (desk.bay("bay-1") / "found.bin").write_bytes(b"\x00\x01 nobody knows")
    desk.sweep(4)  # the last look finds nothing left to do
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def clients(desk):
    """A logged-in client by user name, and `nobody`."""
    app = create_app(desk.service)
    found = SimpleNamespace(nobody=TestClient(app, raise_server_exceptions=False))
    for name in desk.persons:
        client = TestClient(app, raise_server_exceptions=False)
        token = client.post(
            "/api/v1/sessions", json={"username": name, "password": PASSWORD}
        ).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        setattr(found, name, client)
    return found


@pytest.fixture(scope="module")
def videos(clients):
    """The three videos, in order of their start."""
    items = clients.zhang.get("/api/v1/recordings", params={"kind": "video"}).json()["items"]
    return sorted(items, key=lambda item: item["start_at"])
