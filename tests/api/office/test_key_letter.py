"""The key letter: every fingerprint whole, on paper, of the keys of now."""

import json
import subprocess

import pytest

from api.office.evidence.key_list import log_vkey, shown_keys
from api.office.printed.key_letter import FILE, keep_letter
from storage.bundle.court_page.build import build_page, page_digest
from storage.custody.note import NoteKey
from storage.signed.fingerprint import format_fingerprint
from tests.api.station.test_station_keys import enrolled
from tests.command import FOUNDING, run
from tests.office import Desk


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


def text_of(pdf):
    command = ["pdftotext", "-layout", pdf, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_it_says_whose_keys_they_are_each_whole_and_the_logs_own_line(desk):
    text = text_of(keep_letter(desk.office))
    assert "兴隆县兴隆镇" in text
    keys = shown_keys(desk.office)
    assert [key.use for key in keys] == ["centre", "log", "vault", "recovery", "station"]
    assert all(key.grouped_fingerprint in text for key in keys)
    assert "office.test/custody" in text
    assert log_vkey(desk.office) in "".join(text.split())
    assert format_fingerprint(page_digest()) in text
    assert NoteKey.parse(log_vkey(desk.office)).name == "office.test/custody"


def test_it_is_made_anew_when_a_station_is_enrolled_and_only_then(desk):
    path = keep_letter(desk.office)
    before = path.read_bytes()
    keep_letter(desk.office)
    assert path.read_bytes() == before
    key = enrolled(desk, "station-2").verify_key()
    assert keep_letter(desk.office) == path
    assert shown_keys(desk.office)[-1].fingerprint == key.fingerprint
    assert shown_keys(desk.office)[-1].grouped_fingerprint in text_of(path)


def test_founding_leaves_it_in_the_home_and_a_command_writes_another(tmp_path):
    home = tmp_path / "var"
    made = run(home, "keys", "init", *FOUNDING, "--json")
    assert made.returncode == 0, made.err
    told = json.loads(made.out)
    assert told["letter"] == str(home / FILE)
    out = tmp_path / "letter.pdf"
    assert run(home, "keys", "letter", out).returncode == 0
    for path in (home / FILE, out):
        text = text_of(path).replace(" ", "")
        assert all(key["fingerprint"] in text for key in told["keys"])
    assert run(home, "keys", "letter", out).returncode == 1  # nothing is overwritten


def test_the_page_whose_digest_it_prints_is_written_by_a_command_and_never_over_a_file(tmp_path):
    file = tmp_path / "verify.html"
    done = run(tmp_path / "var", "keys", "page", file, "--json")
    assert (done.returncode, json.loads(done.out)["sha256"]) == (0, page_digest()), done.err
    assert file.read_bytes() == build_page()
    file.write_bytes(b"mine")
    assert run(tmp_path / "var", "keys", "page", file).returncode == 1
    assert file.read_bytes() == b"mine"
