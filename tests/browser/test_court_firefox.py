"""The court's page in Debian's Firefox: a true bundle, a changed one, a lie, a zip, no request."""

import time

import pytest

from tests import firefox
from tests.attacks.anchor_lies import packed
from tests.attacks.bundle_lies import ATTACKS
from tests.attacks.dishonest_centre import LyingBundle
from tests.attacks.file_changes import CHANGES
from tests.court_page import fingerprints, write_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(firefox.FIREFOX is None, reason=firefox.NOT_TESTED),
]
LIES = {one.check: one for one in reversed(ATTACKS) if one.level != 3}  # one for each check


@pytest.fixture(scope="module")
def page(seizure_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("firefox")
    file = write_page(folder)
    with firefox.open_firefox(folder) as browser:
        browser.navigate(file.as_uri())
        typed = " ".join(fingerprints(seizure_bundle.keys))
        browser.evaluate(
            f"""(() => {{ const field = document.getElementById('fingerprints');
            field.value = '{typed}'; field.dispatchEvent(new Event('input')); }})()"""
        )
        yield browser
        asked = [
            url for url in browser.requests if not url.startswith(("blob:", "data:", file.as_uri()))
        ]
    assert asked == []


def verify(page, zipped):
    """Return verdict and failed checks; Firefox's driver gives no folders to a chooser."""
    page.choose_files("#zip", zipped)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        told = page.evaluate(
            """(() => ({state: document.getElementById('progress').dataset.state,
            verdict: document.getElementById('verdict').dataset.verdict,
            failed: [...document.querySelectorAll('#checks [data-state=failed]')].map(one => one.dataset.check),
            }))()"""
        )
        if told["state"] == "idle":
            return told["verdict"], set(told["failed"])
        time.sleep(0.05)
    raise AssertionError(told)


def test_a_true_bundle_verifies(page, seizure_bundle, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(packed(seizure_bundle.folder))
    assert verify(page, tmp_path / "bundle.zip") == ("verified", set())


@pytest.mark.parametrize("act", ["flip", "delete", "add beside"])
def test_a_changed_file_is_named(act, page, seizure_bundle, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    CHANGES[act](root / "data" / "case.json")
    (tmp_path / "bundle.zip").write_bytes(packed(root))
    verdict, failed = verify(page, tmp_path / "bundle.zip")
    assert verdict == "not-verified"
    assert "bag" in failed


@pytest.mark.parametrize("check", LIES)
def test_a_lie_is_named(check, page, seizure_bundle, tmp_path):
    lying = LyingBundle(seizure_bundle, tmp_path / "copy")
    LIES[check].do(lying)
    (tmp_path / "bundle.zip").write_bytes(packed(lying.sign()))
    verdict, failed = verify(page, tmp_path / "bundle.zip")
    assert verdict == "not-verified"
    assert check in failed
