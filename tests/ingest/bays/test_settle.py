"""When is a file whole."""

import os

import pytest

from ingest.bays.settle import Look, Patience, Settled, assess_looks, written_now


def looks(*seen):
    return [Look(size, size, float(at)) for at, size in seen]


@pytest.mark.parametrize(
    ("seen", "name", "held", "verdict"),
    [
        (looks((0, 5)), "a.mp4", False, Settled.WAIT),
        (looks((0, 5), (2, 5)), "a.mp4", False, Settled.WAIT),
        (looks((0, 5), (3, 5)), "a.mp4", False, Settled.WHOLE),
        (looks((0, 5), (3, 5)), "a.mp4", None, Settled.WHOLE),
        (looks((0, 5), (3, 5)), "a.mp4", True, Settled.WAIT),
        (looks((0, 5), (3, 5)), "a.mp4.part", False, Settled.WAIT),
        (looks((0, 5), (3, 6), (6, 7)), "a.mp4", False, Settled.WAIT),
        (looks((0, 5), (3, 6), (7, 6)), "a.mp4", False, Settled.WHOLE),
        (looks((0, 5), (3, 6), (30_000, 7)), "a.mp4", False, Settled.GROWING),
        ([], "a.mp4", False, Settled.WAIT),
        (looks((0, 5), (3599, 5)), "a.mp4.part", False, Settled.WAIT),
        (looks((0, 5), (3600, 5)), "a.mp4.part", False, Settled.WHOLE),
        (looks((0, 5), (3600, 5)), "a.mp4.part", True, Settled.WAIT),
        (looks((0, 5), (3000, 6), (3600, 6)), ".config.backup", False, Settled.WAIT),
    ],
)
def test_a_file_is_whole_after_two_equal_looks(seen, name, held, verdict):
    assert assess_looks(seen, name, Patience(), held_open=held) is verdict


def test_a_file_that_another_process_writes_is_seen(tmp_path):
    import subprocess
    import sys

    path = tmp_path / "x"
    code = "import sys; f = open(sys.argv[1], 'wb'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline()
        status = os.stat(path)
        assert (status.st_dev, status.st_ino) in (written_now() or ())
        child.communicate()
    assert (status.st_dev, status.st_ino) not in (written_now() or ())
