"""The court's page as a reader meets it: verdicts, keys, footage, custody, archives, no network."""

import base64
import http.server
import io
import json
import random
import threading
import zipfile

import pytest

from api.office.evidence.export import export_bundle
from api.office.service import Service
from api.office.wiring import Office
from storage.bundle.court_page.build import build_page
from tests.attacks.anchor_lies import packed
from tests.attacks.dishonest_centre import LyingBundle
from tests.court_page import CourtPage, fingerprints, open_court_page, write_page
from tests.office import FIRST, Desk, dock, segment
from tests.old_log import before_chains, forget_chains

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def court(tmp_path_factory):
    with open_court_page(tmp_path_factory.mktemp("court")) as court:
        yield court


@pytest.fixture
def named(court, seizure_bundle):
    """The page with the office's fingerprints typed in."""
    court.name_keys(seizure_bundle.keys)
    yield court
    court.name_keys(None)


def test_without_named_keys_it_is_self_consistent_and_never_verified(court, seizure_bundle):
    court.name_keys(None)
    outcome = court.verify(seizure_bundle.folder)
    assert outcome.verdict == "self-consistent"
    assert "VERIFIED" not in outcome.text
    for shown in fingerprints(seizure_bundle.keys):
        assert shown in outcome.text


def test_keys_named_afterwards_change_the_verdict_at_once(court, seizure_bundle):
    court.name_keys(None)
    court.verify(seizure_bundle.folder)
    court.name_keys(seizure_bundle.keys)
    assert court.read().verdict == "verified"
    centre, log = fingerprints(seizure_bundle.keys)
    court.type_keys(centre)
    assert court.read().verdict == "self-consistent"
    court.type_keys(f"{centre[::-1]} {log[::-1]}")
    outcome = court.read()
    assert (outcome.verdict, outcome.failed) == ("not-verified", {(1, "anchors")})


def test_fingerprints_are_pasted_with_the_letters_words(court, seizure_bundle):
    centre, log = fingerprints(seizure_bundle.keys)
    court.type_keys(f"1. 中心 centre\n{centre.upper()}\n有效期 2026年起\n2. 日志 log: {log}")
    assert court.page.get_attribute("#key-state", "data-count") == "2"
    court.type_keys(f"{centre}\n{log[:53]}")
    assert "不完整" in court.page.inner_text("#key-state")
    court.type_keys("没有")
    assert "没有认出" in court.page.inner_text("#key-state")


@pytest.mark.parametrize("kind", ["pem", "verify"])
def test_keys_are_named_by_their_files(kind, court, seizure_bundle):
    court.name_keys(None)
    keys = seizure_bundle.folder / "data" / "keys"
    court.page.set_input_files(
        "#key-files", [str(keys / f"{name}.{kind}") for name in ("centre", "log")]
    )
    court.wait_for_keys()
    outcome = court.verify(seizure_bundle.folder)
    court.page.set_input_files("#key-files", [])
    court.wait_for_keys()
    assert outcome.verdict == "verified", outcome.text
    assert ("ML-DSA-44 一半未经核对" in outcome.remarks) == (kind == "pem")


@pytest.mark.parametrize("sealed", [False, True])
def test_an_open_case_begun_before_chains_verifies(sealed, court, tmp_path):
    with before_chains():
        desk = Desk.set_up(tmp_path)
        case, action = desk.seizure(30)
        dock(desk, "bay-1", FIRST, segment(-5, 45))
        desk.sweep()
        desk.link(action)
    forget_chains(desk.office.catalogue)
    desk.office.close()
    office = Office.open(desk.office.settings)
    try:
        later = Desk(office, Service.of_office(office), desk.persons)
        export_bundle(later.service, later.visitor("zhang"), case, tmp_path / "bag", sealed=sealed)
    finally:
        office.close()
    court.name_keys(office.settings.keys)
    outcome = court.verify(tmp_path / "bag")
    assert outcome.verdict == "verified", outcome.text
    assert ("已加密封存" in outcome.text) == sealed


def test_it_says_what_it_cannot_do_and_who_did_what(named, seizure_bundle):
    outcome = named.verify(seizure_bundle.folder)
    assert "只有命令 liuhen verify 能做" in outcome.text
    rows = named.page.locator("#custody tbody tr")
    lines = (seizure_bundle.folder / "data/custody/entries.jsonl").read_bytes().splitlines()
    numbers = [json.loads(line)["index"] for line in lines]
    assert [
        int(one) for one in rows.evaluate_all("all => all.map(row => row.dataset.entry)")
    ] == numbers
    refused = named.page.locator('#custody tr[data-outcome="refused"]')
    assert "zhang某" in refused.inner_text()
    assert "办结执法活动" in refused.inner_text()


def test_footage_plays_from_the_folder_and_from_the_zip(named, seizure_bundle, tmp_path):
    zipped = tmp_path / "bundle.zip"
    zipped.write_bytes(packed(seizure_bundle.folder))
    for bundle in (seizure_bundle.folder, zipped):
        named.verify(bundle)
        named.page.locator("button.play").first.click()
        video = named.page.locator("video")
        video.wait_for()
        for _ in range(200):
            if video.evaluate("video => video.readyState > 0 && video.videoWidth") == 320:
                break
            named.page.wait_for_timeout(50)
        else:
            raise AssertionError(bundle)


def test_what_the_browser_cannot_play_is_named_with_codec_and_player(
    named, seizure_bundle, tmp_path
):
    """The very bytes that the station sealed, and the browser has no decoder for them."""
    named.verify(seizure_bundle.folder)
    named.page.locator("button.play").first.click()
    video = named.page.locator("video")
    video.wait_for()
    video.evaluate("video => { video.src = URL.createObjectURL(new Blob(['no film'])) }")
    note = named.page.locator(".player .note")
    note.wait_for()
    assert all(
        word in note.inner_text() for word in ("h264", "aac", "mov", "VLC", "data/recordings/")
    )


def test_a_folder_is_dropped(named, seizure_bundle):
    named.page.locator("#drop").scroll_into_view_if_needed()
    box = named.page.locator("#drop").bounding_box()
    session = named.page.context.new_cdp_session(named.page)
    drag = {"items": [], "files": [str(seizure_bundle.folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"x": box["x"] + 20, "y": box["y"] + 20}
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": drag})
    named.page.wait_for_selector("#progress[data-state=idle]", state="attached")
    named.page.wait_for_selector("#result:not([hidden])")
    assert named.read().verdict == "verified"


def zipped_with(bundle, method=zipfile.ZIP_STORED, **more):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                name = path.relative_to(bundle.parent).as_posix()
                with archive.open(name, "w", **more) as member:
                    member.write(path.read_bytes())
    return held.getvalue()


class Unseekable(io.RawIOBase):
    """A sink that a zip is streamed to: sizes follow each member in a descriptor."""

    def __init__(self):
        self.parts = []

    def writable(self):
        return True

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)


def streamed(bundle):
    sink = Unseekable()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            archive.write(path, path.relative_to(bundle.parent))
    return b"".join(sink.parts)


TRUE = {
    "deflated": lambda bundle: zipped_with(bundle, zipfile.ZIP_DEFLATED),
    "zip64 fields": lambda bundle: zipped_with(bundle, force_zip64=True),
    "streamed, with descriptors": streamed,
    "zip64 end": lambda bundle: with_zip64_end(packed(bundle)),
}


def with_zip64_end(archive):
    """Write the end of the directory anew, as archives of more than 4 GiB have it."""
    end = archive.rindex(b"PK\5\6")
    count = archive[end + 10 : end + 12]
    size, start = archive[end + 12 : end + 16], archive[end + 16 : end + 20]
    wide = count + bytes(6)
    long = b"PK\6\6" + (44).to_bytes(8, "little") + b"\x2d\0\x2d\0" + bytes(8) + wide + wide
    long += size + bytes(4) + start + bytes(4)
    locator = b"PK\6\7" + bytes(4) + end.to_bytes(8, "little") + (1).to_bytes(4, "little")
    short = b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2)
    return archive[:end] + long + locator + short


@pytest.mark.parametrize("habit", TRUE)
def test_a_zip_of_any_of_these_habits_verifies(habit, named, seizure_bundle, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(TRUE[habit](seizure_bundle.folder))
    outcome = named.verify(tmp_path / "bundle.zip")
    assert outcome.verdict == "verified", outcome.text


def longer_than_it_says(archive):
    """Make the largest deflated member claim one byte less than it inflates to."""
    at = max(
        (place for place in range(len(archive)) if archive.startswith(b"PK\1\2", place)),
        key=lambda place: int.from_bytes(archive[place + 24 : place + 28], "little"),
    )
    size = int.from_bytes(archive[at + 24 : at + 28], "little") - 1
    return archive[: at + 24] + size.to_bytes(4, "little") + archive[at + 28 :]


def other_name_inside(archive):
    return archive.replace(b"/bagit.txt", b"/bagit.TXT", 1)


def many_in_little(archive):
    end = archive.rindex(b"PK\5\6")
    return archive[: end + 8] + b"\xfe\xff\xfe\xff" + archive[end + 12 :]


def escaping(bundle):
    held = io.BytesIO(packed(bundle))
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr("../evil", b"evil")
    return held.getvalue()


def twice(bundle):
    held = io.BytesIO(packed(bundle))
    with zipfile.ZipFile(held, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"{bundle.name}/bagit.txt", b"evil")
    return held.getvalue()


HOSTILE = {
    "cut": lambda bundle: packed(bundle)[:-30],
    "empty": lambda _bundle: b"",
    "no zip": lambda _bundle: random.Random(1).randbytes(100_000),
    "a path that leaves": escaping,
    "two files of one name": twice,
    "another name in its own header": lambda bundle: other_name_inside(packed(bundle)),
    "a count beyond the directory": lambda bundle: many_in_little(packed(bundle)),
    "longer than it says": lambda bundle: longer_than_it_says(TRUE["deflated"](bundle)),
    "encrypted": lambda bundle: encrypted(packed(bundle)),
}


def encrypted(archive):
    at = archive.index(b"PK\1\2")
    return archive[: at + 8] + b"\1" + archive[at + 9 :]


@pytest.mark.parametrize("act", HOSTILE)
def test_a_hostile_zip_is_refused(act, named, seizure_bundle, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(HOSTILE[act](seizure_bundle.folder))
    outcome = named.verify(tmp_path / "bundle.zip")
    assert outcome.verdict == "not-verified"
    assert outcome.failed & {(1, "archive"), (1, "bag")}, outcome.text


def test_hostile_names_are_shown_and_never_become_markup(named, seizure_bundle, tmp_path):
    lying = LyingBundle(seizure_bundle, tmp_path / "copy")
    lying.put("<img src=x onerror=alert(1)>\u202egpj.exe", b"evil")
    (lying.root / "<script>alert(1)<").write_bytes(b"evil")
    outcome = named.verify(lying.root)
    assert outcome.verdict == "not-verified"
    assert "<img src=x onerror=alert(1)>⟨U+202E⟩gpj.exe" in outcome.text
    assert named.page.locator("#result img, #result script").count() == 0


def test_markup_and_connections_are_forbidden_by_the_pages_own_policy(
    court, seizure_bundle, tmp_path
):
    """Even a script that got into the page could neither write markup nor send anything."""
    asked = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = CourtPage(court.page.context.new_page(), write_page(tmp_path))
        other.verify(seizure_bundle.folder)
        address = f"http://127.0.0.1:{server.server_port}"
        for attempt in (
            f"fetch('{address}/fetch').catch(() => {{}})",
            f"new Promise(done => {{ const one = new Image(); one.onerror = done; one.onload = done; one.src = '{address}/img'; }})",
            f"navigator.sendBeacon('{address}/beacon', 'x')",
            f"new Promise(done => {{ const one = document.createElement('script'); one.onerror = done; try {{ one.src = '{address}/js'; document.head.append(one); }} catch {{ done() }} }})",
        ):
            other.page.evaluate(f"() => {{ return {attempt}; }}")
        refused = other.page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } }"
        )
        other.page.wait_for_timeout(300)
        other.page.close()
        server.shutdown()
    assert refused
    assert asked == []


def test_the_copy_in_a_bundle_says_what_it_is(court, tmp_path):
    (tmp_path / "data").mkdir()
    for folder, warns in ((tmp_path, False), (tmp_path / "data", True)):
        copy = CourtPage(court.page.context.new_page(), write_page(folder))
        assert copy.page.locator("#copy-warning").is_visible() == warns
        copy.page.close()


def test_the_page_holds_no_address_to_load_from():
    page = build_page().decode()
    head = page.partition("<script>")[0]
    assert " src=" not in head
    assert "<link" not in head
    assert "default-src 'none'" in head


def test_base64_with_other_spellings_is_refused(named, seizure_bundle, tmp_path):
    lying = LyingBundle(seizure_bundle, tmp_path / "copy")
    path = f"recordings/{lying.recordings()[0]}/receipt.json"
    raw = (lying.data / path).read_bytes()
    signature = json.loads(raw)["signatures"][0]["sig"]
    last = signature[-3]
    other = signature[:-3] + chr(ord(last) + 1) + "=="
    assert base64.b64decode(other) == base64.b64decode(signature)
    lying.put(path, raw.replace(signature.encode(), other.encode()))
    outcome = named.verify(lying.sign())
    assert (1, "receipts") in outcome.failed, outcome.text
