"""What a volume offers: whose it is, and which files are taken from it in which order."""

from dataclasses import dataclass, replace

from ingest.bays.bay import Bay
from ingest.bays.census import Census, Offer
from ingest.bays.docking import Docking
from ingest.bays.submission import Submission
from ingest.sources.names import make_opaque
from ingest.sources.volume import VolumeIdentity, identify_volume
from ingest.station.journal import Journal


def identify_docked_volume(
    bay: Bay, census: Census, docking: Docking, journal: Journal
) -> VolumeIdentity:
    """Identify the volume; one with no names left keeps its identity before clearing.

    A recorder whose named files are gone may hold a last one that names nobody.
    """
    serials = {offer.facts.serial for offer in census.offers}
    volume = identify_volume(bay.root, serials, docking.enumerator.profiles)
    if volume.how != "bay":
        return volume
    here = {(file.path, file.size, file.mtime_ns, file.stamp) for file in census.offered_files}
    # All that lies here was settled in this docking: the same volume, less what was cleared.
    # One file more might be another officer's, and the name of the former one wrong.
    if docking.source is not None and here and here <= docking.settled.keys():
        return replace(volume, identity=docking.source)
    before = journal.sources_of(bay.name, {version[:3] for version in here})
    return replace(volume, identity=before.pop()) if len(before) == 1 else volume


@dataclass(frozen=True, slots=True)
class OfferedFiles:
    """The files that one volume offers at one look."""

    bay: Bay
    volume: VolumeIdentity
    docking: Docking

    def list_submissions(self, census: Census) -> list[Submission]:
        """Return what is offered, in the order in which it is taken."""
        # Of two files with the same bytes, the one whose name says most becomes the recording.
        return sorted(
            map(self._build_submission, census.offers),
            key=lambda submission: (len(submission.facts.questions), submission.path),
        )

    def _build_submission(self, offer: Offer) -> Submission:
        bay, file, facts = self.bay, offer.file, offer.facts
        operator = (
            bay.hand_in_source.find_submitter(file.parts)
            if bay.hand_in_source is not None
            else None
        )
        return Submission(
            self._name_source(facts.serial, operator),
            bay.name,
            bay.root,
            file.path,
            file.size,
            file.mtime_ns,
            facts,
            None if bay.landing else self.docking.since,
            bay.quiet_s,
            operator,
            file.stamp,
        )

    def _name_source(self, serial: str | None, operator: str | None) -> str:
        if operator is not None and serial is None:
            return f"unknown:{make_opaque(operator)}"
        if self.bay.landing:
            return serial or f"unknown:landing-{make_opaque(self.bay.name)}"
        return self.volume.identity
