"""Each lie of a dishonest centre is named, at its level; the bundle that was copied verifies."""

import pytest

from api.export import export
from storage.bundle.verify import verify
from tests.attacks.bundle_lies import LIES
from tests.attacks.dishonest_centre import LyingBundle
from tests.office import FIRST, SECOND, Desk, dock, segment
from tests.sampling import sample


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


@pytest.fixture(scope="module")
def bundle(desk, tmp_path_factory):
    """Return a bundle of a seizure that was refused once, and closed with three recordings."""
    case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8))
    desk.sweep()
    desk.link(action)
    assert not desk.close(action).allowed
    dock(desk, "bay-2", SECOND, segment(8, 30))
    desk.sweep()
    desk.link(action)
    assert desk.close(action).allowed
    folder = tmp_path_factory.mktemp("bundle") / "bag"
    export(desk.service, desk.visitor("zhang"), case, folder)
    return folder


@pytest.fixture
def lying(bundle, desk, tmp_path):
    ring, settings = desk.office.ring, desk.office.settings
    station = ring.signing(f"station-{settings.station}")
    return LyingBundle(bundle, tmp_path / "copy", ring.signing("centre"), station)


def test_signed_again_and_nothing_changed_it_verifies(lying, desk):
    report = verify(lying.sign(), desk.office.settings.keys)
    assert report.passed, report.lines()


BY_NAME = {lie.name: lie for lie in LIES}
ALWAYS = [lie.name for lie in LIES if lie.check == "chains"][:3]
ALWAYS += [lie.name for lie in LIES if "doctored" in lie.act]


@pytest.mark.parametrize("name", sample(BY_NAME, ALWAYS, 9))
def test_a_lie_is_named_at_its_level(name, lying, desk):
    lie = BY_NAME[name]
    lie.tell(lying)
    report = verify(lying.sign(), desk.office.settings.keys)
    failed = {(check.level, check.name) for check in report.checks if not check.passed}
    assert (lie.level, lie.check) in failed, report.lines()
