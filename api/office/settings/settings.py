"""Settings: the only place that reads the environment. `LIUHEN_*` first, then `liuhen.toml`.

`LIUHEN_HOME` (default `./var`) holds everything of an embedded office: database, objects, keys,
log, journal. Nothing has a secret default. What is set wrongly, or under a name that is none, is
refused (SettingsError): a misspelt setting that is passed over is how evidence stays unlocked.
"""

import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableVariable

from api.office.settings.office_record import FOUNDING_SETTINGS, read_record
from api.office.settings.setting_errors import (
    PREFIX,
    TOML,
    SettingSources,
    refuse_unknown_variables,
    settings_error,
)
from ingest.bays.bay_names import BY_HAND, CAMERAS, HANDED_IN
from ingest.cameras.rtsp import Address
from ingest.station.clear_when import When

CAMERAS_BAY = CAMERAS
_MAPPED = 96  # bits before an IPv4 address that is written as IPv6, ::ffff:a.b.c.d
_PORTS = range(1, 1 << 16)


def _time_server(place: str) -> str:
    """Return `host` or `host:port` as it is, if there is such a port. Raises: ValueError."""
    port = place.partition(":")[2]
    # The system cuts a larger number to sixteen bits, and asks at a port that nobody named.
    if port and int(port) not in _PORTS:
        raise ValueError("a port from 1 to 65535 is wanted")
    return place


TimeServer = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$"),
    AfterValidator(_time_server),
]


def _network(network_text: str) -> str:
    """Return a network in its one form; of IPv4 addresses that are written as IPv6, as IPv4."""
    network = ip_network(network_text)
    mapped = network.network_address
    # A wider network than all IPv4 addresses is an IPv6 network.
    if network.prefixlen < _MAPPED or not isinstance(mapped, IPv6Address) or not mapped.ipv4_mapped:
        return str(network)
    return f"{mapped.ipv4_mapped}/{network.prefixlen - _MAPPED}"


def both_families(networks: Iterable[str]) -> list[str]:
    """Return networks with the form beside, in which a server of both families names IPv4."""
    network_texts = list(networks)
    old = [network for network in map(ip_network, network_texts) if network.version == 4]  # noqa: PLR2004 - IPv4
    # uvicorn compares the address as the socket gives it: a server of both families sees IPv4 as
    # ::ffff:….
    return network_texts + [
        f"::ffff:{network.network_address}/{network.prefixlen + _MAPPED}" for network in old
    ]


Network = Annotated[str, AfterValidator(_network)]
CameraName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class _Home(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")
    home: Path = Path("var")


class RecordWhen(StrEnum):
    """When a camera is recorded."""

    ALWAYS = "always"
    ON_COMMAND = "on-command"


class CameraSetting(BaseModel):
    """A room's camera: its stream without any secret, where it hangs, when it is recorded."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str  # rtsp://host[:port]/path?query
    room: str = Field(min_length=1, max_length=60)
    user: str | None = None
    password_file: Path | None = None
    when: RecordWhen = RecordWhen.ALWAYS

    @field_validator("url")
    @classmethod
    def _require_plain_address(cls, url: str) -> str:
        Address.parse(url)
        return url

    @model_validator(mode="after")
    def _require_whole_login(self) -> "CameraSetting":
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together")
        return self


class Settings(BaseSettings):
    """One office. Paths are resolved against the working directory."""

    # An address with a password in it is refused, and not repeated in the error either.
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", hide_input_in_errors=True)

    reads_environment: ClassVar[bool] = True

    home: Path = Path("var")
    station: str = Field(default="station-1", pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    station_name: str = "一号采集站"
    county: str = ""  # these three are asked at founding; later the office's record gives them
    township: str = ""
    log_origin: str = Field(default="", pattern=r"^[^\s+]{0,200}$")
    database_url: str | None = None  # postgresql+psycopg://user@host/name, without the password
    database_password_file: Path | None = None
    objects_url: str | None = None  # s3://host:port/bucket?secure=true; default: a local folder
    objects_access_key_file: Path | None = None
    objects_secret_file: Path | None = None
    objects_ca_file: Path | None = None
    rulebook: Path | None = None
    bays: dict[str, Path] = Field(default_factory=dict)
    landing: dict[str, Path] = Field(default_factory=dict)
    landing_quiet_s: float = Field(default=30.0, ge=0)  # uploads pause longer than recorders
    rooms: dict[str, str] = Field(default_factory=dict)  # an NVR's source -> the room it shows
    cameras: dict[CameraName, CameraSetting] = Field(default_factory=dict)
    camera_segment_s: int = Field(default=300, ge=2, le=3600)
    camera_most_mbit: float = Field(default=32.0, gt=0)  # more than that is no camera of ours
    camera_reserve_gb: float = Field(default=10.0, ge=0)  # above what the spool leaves free
    hubs: dict[str, str] = Field(default_factory=dict)  # bay -> the hub it hangs on
    per_hub: int = Field(default=2, ge=1)  # recorders of one hub that are read at once
    spool_gb: float = Field(default=200.0, gt=0)  # what an enrolled station may keep unsent
    spool_reserve_gb: float = Field(default=5.0, ge=0)  # what its disk keeps free
    hand_in_gb: float = Field(default=8.0, gt=0)  # the largest file a person may hand in
    hand_in_files: int = Field(default=5, ge=1)  # of one person that are not taken in yet
    hand_in_days: int = Field(default=7, ge=1)  # then an unfinished one is given up
    streams: int = Field(default=2, ge=1, le=16)  # deliveries at once
    centre_timeout_s: float = Field(default=60.0, gt=0)
    clear: When = When.NEVER
    clear_days: int = Field(default=30, ge=0)
    sm3: bool = False
    immutable: bool = True
    quiet_s: float = Field(default=3.0, ge=0)
    inspect_share: float = Field(default=0.5, gt=0, le=1)  # of one processor core
    growing_s: float = Field(default=6 * 3600.0, gt=0)
    sweep_s: float = Field(default=5.0, gt=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8743, ge=0, le=65535)
    screen_port: int | None = Field(default=None, ge=0, le=65535)  # the dock's screen, here alone
    tls_certificate: Path | None = None  # PEM files; without them a proxy must speak TLS
    tls_key: Path | None = None
    trusted_proxies: list[Network] = Field(default_factory=list)  # whose X-Forwarded-* count
    session_hours: float = Field(default=10.0, gt=0)
    exports_at_once: int = Field(default=2, ge=1, le=16)  # of bundles, on one machine
    enrolment_days: int = Field(default=730, ge=1, le=3650)
    jobs: bool = True  # whether `liuhen serve` does them itself
    job_streams: int = Field(default=2, ge=1, le=32)  # long ones at once, of one worker
    job_days: int = Field(default=30, ge=1)  # how long those that were done are listed
    worker_silent_s: float = Field(default=60.0, gt=0)  # then its jobs are taken over
    audit_days: int = Field(default=7, ge=1)  # in so many days a large log is audited once
    scrub_days: int = Field(default=30, ge=1)  # in so many days everything is read once
    unwrap_gb: float = Field(default=8.0, gt=0)  # the largest that is inspected again
    sweep_days: int = Field(default=30, ge=2)  # before an object without a recording goes
    time_servers: list[TimeServer] = Field(default_factory=list)  # host or host:port, by NTP
    disposition_batch: int = Field(default=1_000, ge=1, le=10_000)  # recordings of one at most
    brake_items: int = Field(default=200, ge=0)  # a day; above it a further person approves
    brake_share: float = Field(default=0.01, ge=0, le=1)  # of all recordings kept, likewise
    archive: str | None = None  # a folder (of a disk that may be away), or s3://…/bucket
    objects_capacity_gb: float | None = Field(default=None, gt=0)  # of a bucket; else unknown
    cooling_days: int = Field(default=7, ge=1, le=365)  # from approval to destruction
    certificate_font: Path = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")  # of PDFs
    footage: Path | None = None  # real clips for the demonstration and the tests
    vectors: Path | None = None  # public test vectors, for the tests alone

    def __init__(self, **values: Any) -> None:
        """Read the settings. Raises: SettingsError; ValidationError of what `values` say."""
        sources = self._find_sources(values)
        if self.reads_environment:
            # Before pydantic reads anything: it passes over variables that it does not know.
            refuse_unknown_variables(sources.environment, type(self))
        try:
            super().__init__(**values)
        except (ValidationError, UnreadableVariable, ValueError) as error:
            raise settings_error(error, sources, type(self)) or error from error

    @classmethod
    def _find_sources(cls, values: Mapping[str, Any]) -> SettingSources:
        environment = (
            {name.upper(): text for name, text in os.environ.items()}
            if cls.reads_environment
            else {}
        )
        home = Path(values["home"]) if "home" in values else _Home().home
        for name in FOUNDING_SETTINGS:
            # Compose files set a variable to nothing to say that it is not set.
            if not environment.get(variable := f"{PREFIX}{name.upper()}", "-"):
                del environment[variable]
        return SettingSources(frozenset(values), environment, home / TOML)

    @property
    def setting_sources(self) -> SettingSources:
        """Sources of these settings, to trace each value to a variable or a line."""
        return self._find_sources({"home": self.home})

    @field_validator("database_url")
    @classmethod
    def _without_a_password(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in {"sqlite", "postgresql+psycopg"}:
                raise ValueError("sqlite:///… or postgresql+psycopg://user@host/name is wanted")
            # Environment and TOML are readable by more people than a 0600 secret file.
            if parts.password is not None or "password" in parse_qs(parts.query):
                raise ValueError("its password belongs into LIUHEN_DATABASE_PASSWORD_FILE")
        return url

    @model_validator(mode="after")
    def _require_distinct_names(self) -> "Settings":
        names = [*self.bays, *self.landing, *self.cameras, HANDED_IN, BY_HAND]
        names += [CAMERAS_BAY] if self.cameras else []
        if len(set(names)) < len(names):
            raise ValueError("bays, landing folders and cameras need names of their own")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read keyword arguments, the environment, the home's `liuhen.toml`, its office's record.

        County, township and log origin that are empty there are as if they were not set.
        """
        # A `.env` in whatever folder a command is started from must not change an office.
        del dotenv_settings, file_secret_settings
        arguments: dict[str, Any] = init_settings()
        # The home decides which file is read, so that it must be known before any other setting.
        home = Path(arguments["home"]) if "home" in arguments else _Home().home
        toml = TomlConfigSettingsSource(settings_cls, home / TOML)
        record = InitSettingsSource(settings_cls, read_record(home / "keys"))
        # The first that names a setting wins; the office's record stands behind all that a person
        # wrote.
        return (
            init_settings,
            _WithoutEmpty(settings_cls, env_settings),
            _WithoutEmpty(settings_cls, toml),
            record,
        )

    @classmethod
    def of_home(cls, home: Path) -> "Settings":
        """Return the settings that stand in a home itself; the environment speaks of another."""
        return _HomeAlone(home=home)

    @property
    def keys(self) -> Path:
        """The key ring's folder."""
        return self.home / "keys"

    @property
    def recovery_out(self) -> Path:
        """Where a new recovery key is first written, to be carried away."""
        return self.home / "carry-offline" / "recovery.key"

    @property
    def database(self) -> str:
        """The catalogue's database."""
        return self.database_url or f"sqlite:///{self.home / 'catalogue.db'}"


class _WithoutEmpty(PydanticBaseSettingsSource):
    """Settings source that drops empty county, township and log origin."""

    def __init__(self, settings_cls: type[BaseSettings], whole: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._whole = whole

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See PydanticBaseSettingsSource."""
        return self._whole.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """See PydanticBaseSettingsSource."""
        source_values = self._whole()
        return {
            name: setting
            for name, setting in source_values.items()
            if setting or name not in FOUNDING_SETTINGS
        }


class _HomeAlone(Settings):
    reads_environment: ClassVar[bool] = False

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment out."""
        arguments, _environment, toml, record = super().settings_customise_sources(
            settings_cls, *sources, **named
        )
        return arguments, toml, record
