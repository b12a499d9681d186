"""Uploads in pieces: however they are cut, the store gets parts that it can join."""

import os

import pytest

from ingest.centre import uploads
from storage.catalogue.people import people
from storage.digest import Digest
from storage.recording import new_recording_id
from storage.vault.objects import LARGEST
from tests.office import Desk

MIB = 1 << 20


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk.office
    desk.office.close()


@pytest.mark.parametrize("piece", [MIB, 3 * MIB, 11 * MIB])
@pytest.mark.parametrize("pieces_a_request", [1, 2, 1000])
def test_a_payload_never_takes_more_parts_than_s3_joins(
    office, monkeypatch, piece, pieces_a_request
):
    """Five parts here, ten thousand in S3: the fewer there may be, the longer they get."""
    monkeypatch.setattr(uploads, "_MOST_PARTS", 5)
    data = os.urandom(50 * MIB)
    recording = new_recording_id(office.clock(), os.urandom(10))
    with office.catalogue.read() as session:
        (station,) = {row.id for row in people.list_stations(session)}
    offset = office.uploads.begin_upload(station, recording, len(data), Digest.compute(data)).offset
    parts = 0
    while offset < len(data):
        writer = office.uploads.open_writer(station, recording, offset)
        for start in range(offset, len(data), piece)[:pieces_a_request]:
            writer.add_bytes(bytearray(data[start : start + piece]))
        assert writer.close() > offset
        state = office.uploads.get_offset(station, recording)
        offset, parts = state.offset, len(writer._marks)
    assert 1 <= parts <= 5
    stored = office.uploads.assemble_payload(station, recording)
    assert stored is not None
    assert stored.digest == Digest.compute(data)
    office.uploads.forget_upload(recording)


def test_parts_of_the_largest_payload_fit_into_a_streams_memory():
    assert LARGEST / (uploads._MOST_PARTS - 1) < 16 * MIB
