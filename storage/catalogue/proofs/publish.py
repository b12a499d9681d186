"""Sign the newest head of the log and publish it: checkpoint in the catalogue, tiles in a folder.

The order is the promise: entries are committed, then the signer remembers and signs the head,
then the tiles are on the disk, then the checkpoint names them. A crash between any two is caught
up by the next call, which does again whatever is missing. Never call it inside a unit of work:
it waits for the signer first and for the database second.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.catalogue.log.custody_log import LogReader, keep_checkpoint
from storage.catalogue.log.tables import LogCheckpointRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.checkpoint import Checkpoint, open_checkpoint, untrusted_checkpoint
from storage.custody.merkle import tiles
from storage.custody.merkle.tiles import Tile
from storage.custody.note import MAX_NOTE, NoteKey
from storage.custody.signer import LogSigner
from storage.durable import replace_file
from storage.errors import CustodyError, LiuhenError, SignatureError

CHECKPOINT = "checkpoint"
_NEWEST = 100  # heads that are looked at for one that is truly signed


def publish_head(
    catalogue: Catalogue,
    signer: LogSigner,
    folder: Path | None = None,
    *,
    covering: int | None = None,
) -> str:
    """Return the signed checkpoint over every entry committed so far.

    With a folder, the static log (C2SP tlog-tiles) there is brought up to it. Nothing new gives
    the last checkpoint again. Who asks for one `covering` an entry is served with any published
    head that does: many accessions at once share a signature.
    Raises: CustodyError when the log is smaller than, or differs from, what was signed before
    (a catalogue put back from an old copy): nothing is signed then. CatalogueBusyError.
    """
    if (shared := _find_covering_head(catalogue, covering)) is not None:
        return shared
    with signer.hold() as locked_signer:
        # Whoever held the signer before us may have covered the entry while we waited.
        if (shared := _find_covering_head(catalogue, covering)) is not None:
            return shared
        # One view for size, proof, root and tiles; entries that come meanwhile are for the next
        # head.
        with catalogue.read() as session:
            log = LogReader(session)
            size = log.size
            consistency = log.prove_consistency(locked_signer.last.size, size)
            text = locked_signer.sign(size, log.compute_root(size), consistency, catalogue.now())
            if folder is not None:
                write_tiles(log, folder, _published_size(folder, size), size)
            stored_checkpoint = session.get(LogCheckpointRow, size)
        # Missing also where a crash came after signing: the signer then gave the same text again.
        if stored_checkpoint is None:
            with catalogue.write() as uow:
                keep_checkpoint(uow.session, text, uow.at)
        if folder is not None:
            # Last, when every tile that it names is on the disk.
            _publish_file(folder / CHECKPOINT, text.encode())
    return text


def _find_covering_head(catalogue: Catalogue, index: int | None) -> str | None:
    """Return the newest published head if it covers this entry."""
    if index is None:
        return None
    with catalogue.read_uncoordinated() as session:
        text = newest_checkpoint(session)
    return text if text is not None and untrusted_checkpoint(text).size > index else None


def write_tiles(log: LogReader, folder: Path, old: int, new: int) -> None:
    """Write what a tree of `new` entries has and one of `old` had not; each file whole and synced.

    Partial tiles go when their full tile is there.
    """
    for tile in tiles.tiles_between(old, new):
        if tile.level is None:
            texts = [
                leaf.encode() for leaf in log.read_leaves(tile.index * tiles.WIDTH, tile.width)
            ]
            content = tiles.entry_bundle(Tile(None, 0, tile.width), texts.__getitem__)
        else:
            log.warm_nodes(tile.level * tiles.HEIGHT, tile.index * tiles.WIDTH, tile.width)
            content = tiles.hash_tile(tile, log.get_node)
        _publish_file(folder / tile.path, content)
        if tile.width == tiles.WIDTH:
            # Only after the full tile is synced: a reader of the partial one finds it there.
            shutil.rmtree(folder / f"{tile.path}.p", ignore_errors=True)


def read_tile(folder: Path, tile: Tile) -> bytes:
    """Return a published tile; a full one serves where a partial one is gone.

    Raises: OSError, CustodyError (longer than any such tile).
    """
    published_tile = tile if (folder / tile.path).exists() else tile.full
    return _read(folder / published_tile.path, published_tile.longest)


def read_head(folder: Path) -> str:
    """Return the published checkpoint, unverified.

    Raises: OSError, CustodyError (longer than any), UnicodeDecodeError.
    """
    return _read(folder / CHECKPOINT, MAX_NOTE).decode()


def _read(path: Path, longest: int) -> bytes:
    """Read a file that somebody else may have put there: no more of it than it may have."""
    with path.open("rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise CustodyError(problem="published file too long", file=path.name, limit=longest)
    return content


def newest_checkpoint(session: Session) -> str | None:
    """Return the newest published checkpoint, if any head was signed yet."""
    return LogReader(session).find_newest_checkpoint()


def newest_signed_head(session: Session, keys: Sequence[NoteKey]) -> Checkpoint:
    """Return the newest head in the catalogue that the log's keys signed. Raises: CustodyError."""
    row = LogCheckpointRow
    # Rows above the newest true head may be anybody's: so many are passed over, and no more.
    for text in session.scalars(select(row.text).order_by(row.size.desc()).limit(_NEWEST)):
        try:
            return open_checkpoint(text, keys)
        except LiuhenError:
            continue
    raise CustodyError(problem="no head of the log was signed yet")


def _published_size(folder: Path, size: int) -> int:
    """How much of the log the folder shows already; when in doubt, nothing."""
    try:
        published = untrusted_checkpoint(read_head(folder)).size
    except (FileNotFoundError, SignatureError, CustodyError, UnicodeDecodeError):
        return 0
    # A folder that shows more than there is belongs to another log, or to a later copy of this.
    return published if published <= size else 0


def _publish_file(path: Path, content: bytes) -> None:
    """Publish a file, unless it stands there already."""
    # What a call that was cut short wrote already is not written again.
    if path.exists() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)
