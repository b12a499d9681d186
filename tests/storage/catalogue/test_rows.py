"""A row that is not there: the error says what is missing, by its noun, and under which key."""

import pytest

from storage.catalogue.cases.tables import ReleaseRow
from storage.catalogue.engine.rows import load_row
from storage.catalogue.log.tables import CustodyEventRow, LogLeafRow
from storage.catalogue.people.tables import CertificateRow
from storage.catalogue.stations.tables import HandedInRow
from storage.catalogue.tables import CaseRow, RecordingRow
from storage.errors import NotFoundError

NOUNS = {
    CaseRow: "case",
    CertificateRow: "certificate",
    CustodyEventRow: "custody event",
    HandedInRow: "submission",
    LogLeafRow: "log entry",
    RecordingRow: "recording",
    ReleaseRow: "release",
}


@pytest.mark.parametrize("table", NOUNS, ids=NOUNS.values())
def test_a_missing_row_is_named(catalogue, table):
    key = 4711 if table in {CustodyEventRow, LogLeafRow} else "4711"
    with catalogue.read() as session, pytest.raises(NotFoundError) as missing:
        load_row(session, table, key)
    assert missing.value.facts == {"what": NOUNS[table], "id": key}
