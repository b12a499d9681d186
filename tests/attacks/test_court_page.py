"""The court's page names what `liuhen verify` names at levels 1 and 2, in a real browser."""

import pytest

from storage.bundle.verify import verify
from tests.attacks import anchor_lies, bundle_lies, file_changes
from tests.attacks.dishonest_centre import LyingBundle
from tests.attacks.test_file_changes import FILES
from tests.court_page import open_court_page
from tests.sampling import sample

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
MATRIX = [f"{act} {n}" for act in file_changes.CHANGES for n in range(FILES)]
LIES = {one.name: one for one in (*bundle_lies.ATTACKS, *anchor_lies.BY_CENTRE)}
IN_FOLDER = {one.name: one for one in (*file_changes.LISTED, *anchor_lies.IN_FOLDER)}
LINK = "bundle's folder: a link named .DS_Store"  # a browser shows no links: it follows them
IN_ZIP = {one.name: one for one in anchor_lies.IN_ZIP}
_LISTS = ("manifest-sha256.txt", "tagmanifest-sha256.txt")  # these name what they list


@pytest.fixture(scope="module")
def court(seizure_bundle, tmp_path_factory):
    with open_court_page(tmp_path_factory.mktemp("court")) as court:
        court.name_keys(seizure_bundle.keys)
        yield court


@pytest.fixture
def files(seizure_bundle):
    every = sorted(path for path in seizure_bundle.folder.rglob("*") if path.is_file())
    return [path.relative_to(seizure_bundle.folder) for path in every]


@pytest.mark.parametrize("case", sample(MATRIX, [], 8))
def test_no_file_is_changed_unseen(case, files, seizure_bundle, court, tmp_path):
    act, _, n = case.rpartition(" ")
    root, path = seizure_bundle.copy(tmp_path / "copy"), files[int(n)]
    file_changes.CHANGES[act](root / path)
    outcome = court.verify(root)
    assert outcome.verdict == "not-verified"
    assert (1, "bag") in outcome.failed, outcome.text
    assert path.as_posix() in outcome.problems or path.name in _LISTS, outcome.problems


@pytest.mark.parametrize("name", sample(LIES, [], 8))
def test_a_lie_is_named_where_ours_names_it(name, seizure_bundle, court, tmp_path):
    lie, lying = LIES[name], LyingBundle(seizure_bundle, tmp_path / "copy")
    lie.do(lying)
    outcome = court.verify(lying.sign())
    if lie.level == 3:  # which needs the rules' own program, as the page says
        assert outcome.verdict == "verified", outcome.text
        assert "第三级" in outcome.text
        return
    assert outcome.verdict == "not-verified"
    assert (lie.level, lie.check) in outcome.failed, outcome.text
    ours = {
        (c.level, c.name) for c in verify(lying.root, seizure_bundle.keys).checks if not c.passed
    }
    levels = {level for level, _ in ours} - {3}
    found = {level for level, _ in outcome.failed}
    # Where nothing is proven, what level 2 says means nothing.
    assert found == levels or (1 in levels and 1 in found), (outcome.text, ours)


@pytest.mark.parametrize("name", sample([one for one in IN_FOLDER if one != LINK], [], 6))
def test_what_is_added_to_a_folder_is_named(name, seizure_bundle, court, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    IN_FOLDER[name].do(root)
    outcome = court.verify(root)
    assert outcome.verdict == "not-verified"
    assert (1, IN_FOLDER[name].check) in outcome.failed, outcome.text


@pytest.mark.parametrize("name", IN_ZIP)
def test_what_is_added_to_a_zip_is_named(name, seizure_bundle, court, tmp_path):
    zipped = tmp_path / "bundle.zip"
    zipped.write_bytes(IN_ZIP[name].do(seizure_bundle.folder))
    outcome = court.verify(zipped)
    assert outcome.verdict == "not-verified"
    assert (1, IN_ZIP[name].check) in outcome.failed, outcome.text


@pytest.mark.parametrize("name", anchor_lies.TRUE_ZIPS)
def test_a_zip_of_the_bundle_alone_verifies(name, seizure_bundle, court, tmp_path):
    zipped = tmp_path / "bundle.zip"
    zipped.write_bytes(anchor_lies.TRUE_ZIPS[name](seizure_bundle.folder))
    outcome = court.verify(zipped)
    assert outcome.verdict == "verified", outcome.text


def test_json_without_end_is_refused_and_breaks_nothing(seizure_bundle, court, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    for path in sorted(root.rglob("*.json*")):
        path.unlink()
        path.write_bytes(b"[" * 200_000)
    outcome = court.verify(root)
    assert outcome.verdict == "not-verified"
    assert "嵌套过深" in outcome.problems
