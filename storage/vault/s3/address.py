"""Where an S3 bucket is and under which key it is entered: `s3://host:port/bucket?region=…`.

TLS unless the address says `secure=false`; nothing falls back from one to the other.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from storage.errors import StoreSetupError

# Amazon S3 User Guide, "General purpose bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class S3Address:
    """One bucket; `host` is host or host:port, `ca` a private certificate authority (PEM)."""

    host: str
    bucket: str
    secure: bool = True
    region: str = "us-east-1"
    ca: Path | None = None

    @classmethod
    def parse(cls, url: str, ca: Path | None = None) -> "S3Address":
        """Read `s3://host[:port]/bucket[?secure=true|false&region=…]`.

        Raises: StoreSetupError that names what is wrong; a key in the address is refused.
        """
        try:
            parts = urlsplit(url)
            _port = parts.port  # read so that a wrong one is told here
        except ValueError as error:
            raise _build_setup_error("address", str(error)) from error
        bucket = parts.path.strip("/")
        options = parse_qs(parts.query, keep_blank_values=True)
        if parts.scheme != "s3" or not parts.hostname:
            raise _build_setup_error("address", "not s3://host:port/bucket")
        if parts.username is not None or parts.password is not None:
            raise _build_setup_error("address", "holds a key")
        if not _BUCKET.fullmatch(bucket):
            raise _build_setup_error("bucket name", bucket[:80])
        if unknown := sorted(options.keys() - {"secure", "region"}):
            raise _build_setup_error("unknown option", unknown[0][:80])
        secure = options.get("secure", ["true"])[-1]
        if secure not in _TRUTH:
            raise _build_setup_error("secure", secure[:80])
        region = options.get("region", ["us-east-1"])[-1]
        return cls(parts.netloc, bucket, _TRUTH[secure], region, ca)

    @property
    def endpoint(self) -> str:
        """The server as a URL."""
        return f"{'https' if self.secure else 'http'}://{self.host}"


@dataclass(frozen=True, slots=True)
class S3Key:
    """An access key and its secret, which is never printed."""

    access: str
    secret: str = field(repr=False)


def _build_setup_error(problem: str, detail: str) -> StoreSetupError:
    mend = "s3://HOST:PORT/BUCKET?secure=true&region=us-east-1"
    return StoreSetupError(bucket="", problem=f"{problem}: {detail}", mend=mend)
