"""Whose keys these are, and what lies beside a bundle: three verdicts, each with a control."""

import json
import shutil

import pytest

from api.office.evidence.bundle_archive import open_bundle
from api.office.evidence.export import export_bundle
from api.office.evidence.integrity_check import whole_check
from api.office.evidence.key_list import shown_keys
from api.office.wiring import Office
from api.problems import ApiError
from storage.bundle.keys import Anchors
from storage.bundle.report import Verdict
from storage.bundle.verify import main, verify
from storage.signed.fingerprint import format_fingerprint
from tests.attacks.anchor_lies import (
    BY_CENTRE,
    EVIL,
    IN_FOLDER,
    IN_KEY_FOLDER,
    IN_ZIP,
    LITTER,
    TRUE_ZIPS,
    add,
)
from tests.attacks.dishonest_centre import LyingBundle
from tests.bundles import MadeBundle
from tests.command import run
from tests.office import Desk


def made(folder):
    """An office, and a bundle of a case that has no footage yet."""
    desk = Desk.set_up(folder)
    case, _action = desk.seizure()
    export_bundle(desk.service, desk.visitor("zhang"), case, folder / "bag")
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
    return [desk.office.ring.get_verify_key(name).fingerprint for name in names]


def test_it_verifies_under_keys_that_the_reader_named(ours):
    desk, bundle = ours
    for named in (
        desk.office.settings.keys,
        Anchors.of_fingerprints(fingerprints(desk, "centre", "log")),
    ):
        report = verify(bundle, named)
        assert (report.verdict, report.status) == (Verdict.VERIFIED, 0), report.format_lines()
        assert report.to_json()["verified"] is True


def test_under_keys_that_nobody_named_it_is_self_consistent_and_never_verified(ours):
    desk, bundle = ours
    report = verify(bundle)
    assert (report.passed, report.verdict, report.status) == (True, Verdict.SELF_CONSISTENT, 3)
    told = report.to_json()
    assert (told["verdict"], told["verified"]) == ("self-consistent", False)
    assert "VERIFIED" not in "\n".join(report.format_lines())
    for fingerprint in fingerprints(desk, "centre", "log"):
        assert format_fingerprint(fingerprint) in "\n".join(report.format_lines())


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
    typed = [format_fingerprint(one).upper() for one in fingerprints(desk, "centre", "log")]
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
        add(path, copy)
    report = verify(copy, desk.office.settings.keys)
    assert report.verdict is Verdict.VERIFIED, report.format_lines()
    (bag,) = [check for check in report.checks if check.name == "bag"]
    assert all(path in bag.note for path in LITTER)


@pytest.mark.parametrize("attack", IN_FOLDER, ids=lambda attack: attack.act)
def test_whatever_else_is_added_is_named(attack, ours, tmp_path):
    desk, bundle = ours
    copy = tmp_path / "bag"
    shutil.copytree(bundle, copy)
    attack.do(copy)
    report = verify(copy, desk.office.settings.keys)
    assert report.verdict is Verdict.NOT_VERIFIED
    assert attack.check in [check.name for check in report.checks if not check.passed]


def unzipped(data, desk, tmp_path):
    """Verify a zip; return its verdict and the names of what failed."""
    file = tmp_path / "bundle.zip"
    file.write_bytes(data)
    try:
        with open_bundle(file) as found:
            report = verify(found.folder, desk.office.settings.keys, found.beside)
    except ApiError:
        return Verdict.NOT_VERIFIED, ["archive"]
    return report.verdict, [check.name for check in report.checks if not check.passed]


@pytest.mark.parametrize("name", TRUE_ZIPS)
def test_a_zip_of_a_bundle_and_litter_verifies(name, ours, tmp_path):
    assert unzipped(TRUE_ZIPS[name](ours[1]), ours[0], tmp_path) == (Verdict.VERIFIED, [])


@pytest.mark.parametrize("attack", IN_ZIP, ids=lambda attack: attack.act)
def test_a_zip_holds_one_bundle_and_nothing_else(attack, ours, tmp_path):
    found = unzipped(attack.do(ours[1]), ours[0], tmp_path)
    assert found == (Verdict.NOT_VERIFIED, [attack.check])


@pytest.mark.parametrize("attack", BY_CENTRE, ids=lambda attack: attack.act)
def test_a_key_that_no_entry_enrolled_is_named(attack, ours, tmp_path):
    desk, bundle = ours
    ring = desk.office.ring
    made = MadeBundle(
        bundle,
        desk.office.settings.keys,
        ring.get_signing_key("centre"),
        ring.get_signing_key(f"station-{desk.office.settings.station}"),
    )
    control = LyingBundle(made, tmp_path / "control")
    assert verify(control.sign(), made.keys).verdict is Verdict.VERIFIED
    lying = LyingBundle(made, tmp_path / "lying")
    attack.do(lying)
    report = verify(lying.sign(), made.keys)
    failed = {(check.level, check.name) for check in report.checks if not check.passed}
    assert (attack.level, attack.check) in failed, report.format_lines()


@pytest.mark.parametrize("attack", IN_KEY_FOLDER, ids=lambda attack: attack.act)
def test_a_planted_key_file_is_named_and_trusted_by_nobody(attack, ours):
    desk, _bundle = ours
    settings = desk.office.settings
    assert whats_wrong(settings) == []
    attack.do(settings.keys)
    try:
        assert whats_wrong(settings) == [attack.check]
        office = Office.open(settings)
        try:
            trusted, shown = office.station_keys, shown_keys(office)
        finally:
            office.close()
    finally:
        (settings.keys / "station-evil.verify").unlink()
    assert trusted == desk.office.ring.stations
    assert [key.since is None for key in shown].count(True) == 1


def whats_wrong(settings):
    office = Office.open(settings)
    try:
        return [one.kind for one in whole_check(office)]
    finally:
        office.close()


def test_planted_keys_are_told_by_the_commands_with_their_fingerprints(ours):
    home = ours[0].office.settings.home
    control = json.loads(run(home, "keys", "show", "--json").out)
    assert [key["use"] for key in control["keys"]] == _USES
    assert all(key["enrolled"] for key in control["keys"])
    IN_KEY_FOLDER[0].do(home / "keys")
    try:
        shown = run(home, "keys", "show")
    finally:
        (home / "keys" / "station-evil.verify").unlink()
    assert shown.returncode == 1
    assert format_fingerprint(EVIL.fingerprint) in shown.out
    assert "未登记" in shown.out


_USES = ["centre", "log", "vault", "recovery", "station"]
