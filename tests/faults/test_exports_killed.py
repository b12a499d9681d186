"""kill -9 amid an export: nothing in clear is left after the next start but a bundle that is whole."""

import signal

import pytest

from api.office.evidence.bundle_archive import open_bundle
from api.office.evidence.export_slots import remove_left_parts
from storage.bundle.verify import verify
from tests import fresh
from tests.faults.export_once import export
from tests.office import FIRST, Desk, Template, dock, segment
from tests.sampling import sample

# From the login on: the slot's entry, the log, every member, the folder; the rename; the bytes of
# an original. Sixty files were synced in a folder, four in a zip's export.
POINTS = [
    *(("bag", "fsync", number) for number in (1, 2, 3, 5, 8, 13, 21, 34)),
    *(("bag.zip", "fsync", number) for number in (1, 2, 3, 4)),
    ("bag", "rename", 1),
    ("bag.zip", "rename", 1),
    ("bag", "original", 1 << 10),
    ("bag.zip", "original", 1 << 16),
]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """An office at rest with a linked recording: its template, the case, the original's middle."""
    folder = tmp_path_factory.mktemp("filmed")
    desk = Desk.set_up(folder)
    case, action = desk.seizure(30)
    (path,) = dock(desk, "bay-1", FIRST, segment(-5, 15))
    content = path.read_bytes()
    desk.sweep()
    desk.link(action)
    path.unlink(missing_ok=True)
    desk.office.close()
    return Template(folder, dict(desk.persons)), case, content[512:576]


@pytest.mark.parametrize(
    ("name", "point", "number"), sample(POINTS, always=[POINTS[0], POINTS[-1]], drawn=3)
)
def test_a_killed_export_leaves_nothing_in_clear(name, point, number, filmed, tmp_path):
    template, case, middle = filmed
    folder, target = tmp_path / "office", tmp_path / "usb" / name
    template.copy(folder).office.close()
    target.parent.mkdir()
    process = fresh.context().Process(
        target=export, args=(folder, template.persons, case, target, point, number)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    home = next(path for path in folder.iterdir() if (path / "exports").is_dir())
    remove_left_parts(home)
    left = [path for path in target.parent.rglob("*") if path.is_file()]
    if target.exists():  # it was killed when all was done
        with open_bundle(target) as opened:
            assert verify(opened.folder).passed
    else:
        assert left == []
    assert not any(middle in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert remove_left_parts(home) == []
