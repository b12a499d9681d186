"""Connections to an S3 server, bounded in time and number, and the network's errors as ours.

What an answer means is left to `refusals`; whoever sends something reads back what came of it.
"""

import contextlib
from collections.abc import Iterator
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from storage.errors import StoreSetupError, StoreUnavailableError
from storage.vault.s3.address import S3Address

NOT_S3 = "not an answer of S3"

Pool = urllib3.PoolManager
Response = urllib3.BaseHTTPResponse


def build_pool(address: S3Address, timeout_s: float) -> Pool:
    """Return bounded connections. A PUT may be repeated: its twin is found and goes."""
    return urllib3.PoolManager(
        maxsize=32,
        timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
        retries=urllib3.Retry(
            total=2,
            redirect=False,  # a captive portal's way of answering
            backoff_factor=0.1,
            status_forcelist=(500, 502, 503, 504),
            # Never POST: parts that are joined twice are an error the second time.
            allowed_methods=("GET", "HEAD", "PUT", "DELETE"),
            raise_on_status=False,
            respect_retry_after_header=False,
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(address.ca) if address.ca else certifi.where(),
    )


@contextlib.contextmanager
def translate_network_errors(bucket: str, key: str = "") -> Iterator[None]:
    """Turn what the network raises, and an answer that is no answer of S3, into our errors.

    Raises: StoreUnavailableError, StoreSetupError (certificate).
    """
    try:
        yield
    except HTTPError as error:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(cause, SSLError):  # a foreign or expired certificate: never go on without
            mend = f"openssl s_client  ({cause})"[:200]
            raise StoreSetupError(bucket=bucket, problem="certificate", mend=mend) from error
        raise StoreUnavailableError(key=key, problem=type(cause).__name__) from error
    except (ParseError, ValueError, OSError) as error:  # a portal's page, a cut document
        raise StoreUnavailableError(key=key, problem=NOT_S3) from error
