"""The county's topology, read from `county.toml`: what runs, in which order, with which settings.

Places that differ between containers and plain processes stand in braces and are filled in by
whoever asks; `compose` renders containers from here, the tests start processes. A word that is
unknown here is refused, so that no setting is lost by a slip of the pen.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_PLACE = re.compile(r"(?<!\$)\{([a-z][a-z0-9-]*)\}")
CONDITIONS = ("started", "healthy", "done")


class CountyError(ValueError):
    """The definition contradicts itself; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. `run` is a whole command line, `command` is for the entry point of an image."""

    kind: str
    image: str
    run: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    number: int | None = None  # of a replica, from 1
    port: int | None = None
    ports: Mapping[str, int] = field(default_factory=dict)  # further ones, never published
    publish: str | None = None
    health: str | tuple[str, ...] = ()  # an address that answers 200, or a command
    health_every: str = "10s"
    after: Mapping[str, str] = field(default_factory=dict)  # service -> one of CONDITIONS
    once: bool = False  # it ends by itself
    profile: str | None = None
    networks: tuple[str, ...]
    folders: Mapping[str, str] = field(default_factory=dict)  # name -> where a container sees it
    reads: Mapping[str, str] = field(default_factory=dict)  # the same, read only
    mounts: Mapping[str, str] = field(default_factory=dict)  # of this folder, read only
    scratch: tuple[str, ...] = ("/tmp:size=64m",)  # noqa: S108 - a container's own
    memory: str
    grace: str = "10s"

    @property
    def name(self) -> str:
        """Its own name: the kind, and the number where there are several."""
        return self.kind if self.number is None else f"{self.kind}-{self.number}"


@dataclass(frozen=True, slots=True)
class County:
    """The whole definition; services stand in an order in which they can be started."""

    name: str
    images: Mapping[str, str]
    settings: Mapping[str, Mapping[str, str]]
    services: tuple[Service, ...]
    networks: Mapping[str, str] = field(default_factory=dict)  # those whose addresses matter

    @classmethod
    def load(cls, file: Path = HERE / "county.toml") -> "County":
        """Read the definition.

        Raises: CountyError.
        """
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        kinds = [_service(kind, table) for kind, table in document["services"].items()]
        county = cls(
            document["name"],
            document["images"],
            document["settings"],
            tuple(replica for service in kinds for replica in _replicas(service)),
            document.get("networks", {}),
        )
        county.check()
        return county

    def of(self, kind: str) -> tuple[Service, ...]:
        """Return the replicas of a kind. Raises: CountyError when there is none."""
        found = tuple(service for service in self.services if service.kind == kind)
        if not found:
            raise CountyError(f"no service {kind}")
        return found

    def dependencies(self, service: Service) -> Iterator[tuple[Service, str]]:
        """Yield what must have come so far before the service is started."""
        for kind, condition in service.after.items():
            for other in self.of(kind):
                yield other, condition

    def environment(self, service: Service) -> dict[str, str]:
        """Return what the service's environment holds, with its places still in braces."""
        shared = {
            name: value for key in service.settings for name, value in self.settings[key].items()
        }
        return {**shared, **service.environment}

    def check(self) -> None:
        """Refuse what could not be started. Raises: CountyError."""
        before: set[str] = set()
        for service in self.services:
            if bool(service.run) == bool(service.command):
                raise CountyError(f"{service.name}: either run or command")
            if service.image not in {"office", *self.images}:
                raise CountyError(f"{service.name}: no image {service.image}")
            if missing := set(service.settings) - set(self.settings):
                raise CountyError(f"{service.name}: no settings {sorted(missing)}")
            if not service.once and not service.health:
                raise CountyError(f"{service.name}: no health check")
            for other, condition in self.dependencies(service):
                if other.name not in before:
                    raise CountyError(f"{service.name}: {other.name} must stand before it")
                if condition not in CONDITIONS or (condition == "done") != other.once:
                    raise CountyError(f"{service.name}: {other.name} is never {condition}")
            before.add(service.name)


def filled(text: str, places: Mapping[str, str]) -> str:
    """Return the text with every `{place}` filled in.

    Raises: CountyError for a place that nobody named.
    """

    def place(match: re.Match[str]) -> str:
        try:
            return places[match[1]]
        except KeyError as error:
            raise CountyError(f"no place {match[0]}: {text}") from error

    return _PLACE.sub(place, text)


def _service(kind: str, table: dict[str, Any]) -> Service:
    known = {known.name for known in fields(Service)} - {"kind", "number"}
    if unknown := set(table) - known:
        raise CountyError(f"{kind}: unknown {sorted(unknown)}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    try:
        return Service(kind=kind, **values)
    except TypeError as error:
        raise CountyError(f"{kind}: {error}") from error


def _replicas(service: Service) -> Iterator[Service]:
    if service.replicas == 1:
        yield service
        return
    for number in range(1, service.replicas + 1):
        yield replace(service, number=number)
