"""The whole way: docked, sealed, receipted, linked, refused, mended, closed, bundled, verified."""

import shutil
import subprocess
import sys

import pytest

from api.office.evidence.export import export_bundle
from storage.bundle.verify import verify
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.recordings import recording_search
from tests.office import FIRST, SECOND, Desk, dock, segment


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def bundle(desk, tmp_path_factory):
    """Walk the whole way once; the tests look at what it left."""
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8))
    assert {r.outcome for r in desk.sweep()} == {"accessioned"}
    assert len(desk.link(action)) == 2
    refused = desk.close(action)
    assert not refused.allowed
    assert "第八条" in next(f for f in refused.findings if f.blocks).message_zh

    dock(desk, "bay-2", SECOND, segment(8, 30))
    desk.sweep()
    assert len(desk.link(action)) == 1
    assert desk.close(action).allowed

    folder = tmp_path_factory.mktemp("bundle") / "bag"
    export_bundle(desk.service, desk.visitor("zhang"), case, folder)
    return folder


@pytest.fixture
def copy(bundle, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(bundle, target)
    return target


def test_the_bundle_verifies_offline(bundle):
    report = verify(bundle)
    assert report.passed, report.format_lines()


def test_the_bundle_verifies_in_a_process_without_our_home(bundle, desk, tmp_path):
    keys = desk.office.settings.keys
    for named, status, verdict in (
        (("--keys", str(keys)), 0, "核验通过"),
        ((), 3, "SELF-CONSISTENT, KEYS UNKNOWN"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "storage.bundle.verify", str(bundle), *named],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "", "PYTHONUTF8": "1"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, verdict in done.stdout.decode()) == (status, True), done.stdout


def test_the_guides_own_commands_verify_it(bundle):
    guide = (bundle / "data" / "VERIFY.md").read_text()
    shell = [part.partition("```")[0] for part in guide.split("```sh\n")[1:]]
    assert len(shell) == 4
    for script in shell:
        done = subprocess.run(["sh", "-euc", script], cwd=bundle, capture_output=True, check=False)
        assert done.stdout.decode().strip() == "OK", done.stderr.decode()
    programs = [part.partition("```")[0] for part in guide.split("```python\n")[1:]]
    assert len(programs) == 2
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=bundle, capture_output=True, check=False
        )
        assert done.stdout.decode().splitlines()[-1:] == ["OK"], done.stderr.decode()


def test_a_changed_byte_in_any_file_is_named(bundle, copy):
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        report = verify(copy)
        assert not report.passed, path
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert verify(copy).passed


def _relisted(copy):
    """Rebuild the manifests as somebody would who covers his tracks."""
    from storage.bundle.bag import MANIFEST, TAG_MANIFEST, digest_of

    files = [p for p in sorted(copy.rglob("*")) if p.is_file()]
    data = [p for p in files if p.relative_to(copy).parts[0] == "data"]
    lines = [f"{digest_of(p)}  {p.relative_to(copy)}\n" for p in data]
    (copy / MANIFEST).write_text("".join(lines))
    tags = [p for p in files if p not in data and p.name != TAG_MANIFEST]
    (copy / TAG_MANIFEST).write_text(
        "".join(f"{digest_of(p)}  {p.relative_to(copy)}\n" for p in tags)
    )


def _problems(copy):
    return {check.name for check in verify(copy).checks if not check.passed}


def test_a_swapped_original_is_caught_even_with_new_manifests(copy):
    originals = sorted((copy / "data" / "recordings").glob("*/original/*"))
    first, second = originals[0].read_bytes(), originals[1].read_bytes()
    originals[0].write_bytes(second)
    originals[1].write_bytes(first)
    _relisted(copy)
    assert {"statement", "records"} <= _problems(copy)


def test_a_left_out_entry_is_caught(copy):
    path = copy / "data" / "custody" / "entries.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    refused = next(n for n, line in enumerate(lines) if b'"refused' in line)
    del lines[refused]
    path.write_bytes(b"".join(lines))
    _relisted(copy)
    assert {"log", "chains"} <= _problems(copy)


def test_a_shortened_action_is_caught(copy):
    (facts,) = (copy / "data" / "actions").glob("*/facts.json")
    facts.write_text(facts.read_text().replace("2026-11-20T01:00:30", "2026-11-20T01:00:09"))
    _relisted(copy)
    assert {"findings", "pages"} <= _problems(copy)


def test_a_bundle_of_another_office_does_not_verify_under_our_keys(bundle, tmp_path):
    other = Desk.set_up(tmp_path)
    other.office.close()
    report = verify(bundle, other.office.settings.keys)
    assert not report.passed


def test_rubbish_is_no_bundle(tmp_path):
    assert not verify(tmp_path).passed
    (tmp_path / "data").mkdir()
    assert not verify(tmp_path).passed


def test_the_catalogue_agrees_with_its_log_after_all_that(desk, bundle):
    office = desk.office
    with office.catalogue.read() as session:
        assert (
            list(
                audit_catalogue(
                    session, office.signer.keys, signed=office.signer.read_last_checkpoint()
                )
            )
            == []
        )
        kinds = [row.kind for row in recording_search.search_recordings(session)]
    assert sorted(kinds) == ["document"] * 3 + ["video"] * 3  # each with its recorder's .log
