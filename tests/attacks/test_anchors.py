"""Whose keys these are, and what lies beside a bundle: three verdicts, each with a control."""

import json
import shutil

import pytest

from api.bundle_archive import opened
from api.export import export
from api.problems import ApiError
from api.wiring import Office
from storage.bundle.keys import Anchors
from storage.bundle.report import Verdict
from storage.bundle.verify import main, verify
from storage.errors import SignatureError
from storage.fingerprint import grouped
from storage.signing import SigningKey, sign_document, verify_document
from tests.attacks.anchor_lies import ADDED, LITTER, ZIP_LIES, add
from tests.attacks.dishonest_centre import LyingBundle
from tests.command import run
from tests.office import Desk


def made(folder):
    """An office, and a bundle of a case that has no footage yet."""
    desk = Desk.set_up(folder)
    case, _action = desk.seizure()
    export(desk.service, desk.visitor("zhang"), case, folder / "bag")
    return desk, folder / "bag"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    desk, bundle = made(tmp_path_factory.mktemp("ours"))
    yield desk, bundle
    desk.office.close()


@pytest.fixture(scope="module")
def forged(tmp_path_factory):
    desk, bundle = made(tmp_path_factory.mktemp("forged"))
    yield desk, bundle
    desk.office.close()


def fingerprints(desk, *names):
    return [desk.office.ring.verifying(name).fingerprint for name in names]


def test_it_verifies_under_keys_that_the_reader_named(ours):
    desk, bundle = ours
    for named in (
        desk.office.settings.keys,
        Anchors.of_fingerprints(fingerprints(desk, "centre", "log")),
    ):
        report = verify(bundle, named)
        assert (report.verdict, report.status) == (Verdict.VERIFIED, 0), report.lines()
        assert report.to_json()["verified"] is True


def test_under_keys_that_nobody_named_it_is_self_consistent_and_never_verified(ours):
    desk, bundle = ours
    report = verify(bundle)
    assert (report.passed, report.verdict, report.status) == (True, Verdict.SELF_CONSISTENT, 3)
    told = report.to_json()
    assert (told["verdict"], told["verified"]) == ("self-consistent", False)
    assert "VERIFIED" not in "\n".join(report.lines())
    for fingerprint in fingerprints(desk, "centre", "log"):
        assert grouped(fingerprint) in "\n".join(report.lines())


def test_one_of_the_two_keys_is_not_enough_and_others_are_a_failure(ours, forged):
    desk, bundle = ours
    for name in ("centre", "log"):
        half = Anchors.of_fingerprints(fingerprints(desk, name))
        assert verify(bundle, half).verdict is Verdict.SELF_CONSISTENT
    for named in (
        forged[0].office.settings.keys,
        Anchors.of_fingerprints(fingerprints(forged[0], "centre", "log")),
    ):
        report = verify(bundle, named)
        assert (report.verdict, report.status) == (Verdict.NOT_VERIFIED, 1)
        assert [check.name for check in report.checks if not check.passed] == ["anchors"]


def test_a_forged_offices_bundle_in_our_home_is_of_unknown_keys_and_our_own_is_verified(
    ours, forged
):
    home = ours[0].office.settings.home
    for bundle, status, verdict in (
        (ours[1], 0, "verified"),
        (forged[1], 3, "self-consistent"),
    ):
        done = run(home, "verify", bundle, "--json")
        told = json.loads(done.out)
        assert (done.returncode, told["verdict"]) == (status, verdict), done.out


def test_a_fingerprint_is_typed_as_the_letter_shows_it_and_half_of_one_is_refused(ours):
    desk, bundle = ours
    typed = [grouped(one).upper() for one in fingerprints(desk, "centre", "log")]
    words = [str(bundle), "--fingerprint", typed[0], "--fingerprint", typed[1]]
    assert main(words) == 0
    with pytest.raises(SystemExit) as refused:
        main([str(bundle), "--fingerprint", typed[0][:17]])
    assert refused.value.code == 2


def test_what_computers_add_beside_the_payload_is_told_and_never_opened(ours, tmp_path):
    desk, bundle = ours
    copy = tmp_path / "bag"
    shutil.copytree(bundle, copy)
    for path in LITTER:
        add(copy, path)
    report = verify(copy, desk.office.settings.keys)
    assert report.verdict is Verdict.VERIFIED, report.lines()
    (bag,) = [check for check in report.checks if check.name == "bag"]
    assert all(path in bag.note for path in LITTER)


@pytest.mark.parametrize("path", ADDED)
def test_whatever_else_is_added_is_named(path, ours, tmp_path):
    desk, bundle = ours
    copy = tmp_path / "bag"
    shutil.copytree(bundle, copy)
    add(copy, path)
    report = verify(copy, desk.office.settings.keys)
    assert report.verdict is Verdict.NOT_VERIFIED
    assert any(path in problem for check in report.checks for problem in check.problems)


def test_a_link_with_the_name_of_litter_is_named(ours, tmp_path):
    desk, bundle = ours
    shutil.copytree(bundle, tmp_path / "bag")
    (tmp_path / "bag" / ".DS_Store").symlink_to("/etc/passwd")
    assert verify(tmp_path / "bag", desk.office.settings.keys).verdict is Verdict.NOT_VERIFIED


@pytest.mark.parametrize("lie", ZIP_LIES, ids=lambda lie: lie.act)
def test_a_zip_holds_one_bundle_and_nothing_else(lie, ours, tmp_path):
    desk, bundle = ours
    file = tmp_path / "bundle.zip"
    file.write_bytes(lie.tell(bundle))
    try:
        with opened(file) as found:
            report = verify(found.folder, desk.office.settings.keys, found.beside)
        problems = [one for check in report.checks for one in check.problems]
    except ApiError as error:
        problems = [str(error)]
    if lie.named is None:
        assert problems == []
        assert report.verdict is Verdict.VERIFIED
    else:
        assert any(lie.named in one for one in problems), problems


# Keys that nobody enrolled


def planted(desk, seeds=bytes(range(64))):
    """Put the public key of somebody else into the key folder, as our station's."""
    evil = SigningKey.from_seeds(desk.office.settings.station, seeds)
    file = desk.office.settings.keys / "station-evil.verify"
    file.write_text(json.dumps(evil.verify_key().to_json()), encoding="utf-8")
    return evil, file


def test_a_planted_key_file_is_named_by_the_audit_and_trusted_by_nobody(ours):
    desk, _bundle = ours
    home = desk.office.settings.home
    assert run(home, "verify", "--all").returncode == 0
    evil, file = planted(desk)
    try:
        done = run(home, "verify", "--all", "--json")
        (wrong,) = json.loads(done.out)["wrong"]
        shown = run(home, "keys", "show", "--json")
        office = Office.open(desk.office.settings)
        try:
            signed = sign_document(evil, "test/v1", {"a": 1})
            with pytest.raises(SignatureError):
                verify_document(signed, "test/v1", office.stations)
            assert len(office.stations) == 1
        finally:
            office.close()
    finally:
        file.unlink()
    assert (done.returncode, wrong["what"]) == (1, "unenrolled-key")
    assert wrong["facts"]["fingerprint"] == grouped(evil.verify_key().fingerprint)
    strange = [one for one in json.loads(shown.out)["keys"] if not one["enrolled"]]
    assert shown.returncode == 1
    assert [one["fingerprint"] for one in strange] == [evil.verify_key().fingerprint]


def test_a_key_file_with_an_enrolled_key_under_another_stations_name_is_named(ours):
    desk, _bundle = ours
    own = desk.office.ring.stations[0]
    file = desk.office.settings.keys / "station-other.verify"
    file.write_text(json.dumps(own.to_json() | {"name": "other"}), encoding="utf-8")
    try:
        office = Office.open(desk.office.settings)
        names = [key.name for key in office.stations]
        office.close()
        assert names == [own.name]
    finally:
        file.unlink()


def _plant(bundle, name, key):
    from storage.bundle.write import pem

    bundle.put(f"keys/{name}.verify", json.dumps(key.to_json()).encode())
    bundle.put(f"keys/{name}.pem", pem(key))


def test_a_bundle_with_a_key_that_no_entry_enrolled_names_it(ours, tmp_path):
    desk, bundle = ours
    centre = desk.office.ring.signing("centre")
    control = LyingBundle(bundle, tmp_path / "control", centre).sign()
    assert verify(control, desk.office.settings.keys).verdict is Verdict.VERIFIED
    lying = LyingBundle(bundle, tmp_path / "lying", centre)
    evil = SigningKey.from_seeds("station-1", bytes(range(64))).verify_key()
    _plant(lying, f"station-station-1-{evil.kid}", evil)
    report = verify(lying.sign(), desk.office.settings.keys)
    failed = {(check.level, check.name) for check in report.checks if not check.passed}
    assert failed == {(2, "keys")}, report.lines()


def test_a_bundle_without_the_entry_of_the_centres_key_is_named(ours, tmp_path):
    desk, bundle = ours
    lying = LyingBundle(bundle, tmp_path / "lying", desk.office.ring.signing("centre"))
    kid = desk.office.ring.verifying("centre").kid
    lying.without(lambda one: f'"subject":"key:{kid}"' in one["leaf"])
    report = verify(lying.sign(), desk.office.settings.keys)
    failed = {(check.level, check.name) for check in report.checks if not check.passed}
    assert {(2, "keys"), (2, "chains")} <= failed, report.lines()
