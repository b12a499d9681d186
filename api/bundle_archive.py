"""Open a bundle that came as a folder or as a zip; archives from outside are hostile."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from api.problems import ApiError

_MOST_FILES = 100_000
_READ = 1 << 20


@contextmanager
def opened(bundle: Path) -> Iterator[Path]:
    """Give the bundle's folder; a zip is unpacked into a temporary one for the block.

    Raises: ApiError(bundle) for what is neither, or would write outside, or lies about its size.
    """
    if bundle.is_dir():
        yield bundle
        return
    with tempfile.TemporaryDirectory(prefix="liuhen-bundle-") as folder:
        try:
            with zipfile.ZipFile(bundle) as archive:
                _unpack(archive, Path(folder))
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ApiError("bundle", problem=str(error)[:200]) from error
        roots = [path for path in Path(folder).iterdir() if path.is_dir()]
        inner = len(roots) == 1 and not (Path(folder) / "bagit.txt").exists()
        yield roots[0] if inner else Path(folder)


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    members = archive.infolist()
    free = shutil.disk_usage(folder).free
    if len(members) > _MOST_FILES or sum(one.file_size for one in members) > free // 2:
        raise ApiError("bundle", problem="too many or too large files")
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
            raise ApiError("bundle", problem="a path that leaves the bundle")
        if member.is_dir():
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        left = member.file_size
        with archive.open(member) as source, target.open("xb") as file:
            while block := source.read(_READ):
                left -= len(block)
                if left < 0:
                    raise ApiError("bundle", problem="a file longer than it says")
                file.write(block)
