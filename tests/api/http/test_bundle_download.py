"""A download of a bundle gives back what it holds, however it ends."""

from contextlib import nullcontext

import anyio
import pytest
from starlette.requests import ClientDisconnect

from api.http.cases.routes import BundleResponse
from api.office.evidence.export_slots import ExportSlot
from api.problems import ApiError


class Opened:
    """Blocks without end, and whether they were closed."""

    closed = False

    def blocks(self):
        try:
            while True:
                yield b"block"
        finally:
            self.closed = True


async def begin(response, version, most):
    """Send the response to a client that goes away after so many messages."""
    sent = 0
    gone = anyio.Event()

    async def send(_message):
        nonlocal sent
        sent += 1
        if sent == most:
            gone.set()
            if version == "2.4":
                raise OSError

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    await response({"type": "http", "asgi": {"spec_version": version}}, receive, send)


# Servers tell that the client is gone by a message, or by an error when they are to send (2.4).
@pytest.mark.parametrize("version", ["2.3", "2.4"])
@pytest.mark.parametrize("most", [1, 3])
def test_a_client_that_goes_away_gives_the_slot_back(version, most, tmp_path):
    opened = Opened()
    response = BundleResponse(opened.blocks(), ExportSlot.acquire(tmp_path, 1), {})
    with pytest.raises(ApiError):
        ExportSlot.acquire(tmp_path, 1)
    with pytest.raises(ClientDisconnect) if version == "2.4" else nullcontext():
        anyio.run(begin, response, version, most)
    ExportSlot.acquire(tmp_path, 1).release()
    assert opened.closed or most == 1  # blocks that nobody began have nothing to close
