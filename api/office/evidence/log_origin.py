"""Give an office's custody log an origin of its own; what was signed before verifies as before.

The log goes on in the same tree with the same key: `storage/catalogue/proofs/log_origin.py` has the
order of the steps. Cut short anywhere, the same call goes on; meanwhile nobody signs a head.
"""

import os
from collections.abc import Callable

from api.office.settings.settings import Settings
from api.office.station_parts import hold_station
from api.office.wiring import Office
from api.problems import ApiError
from storage.catalogue.proofs.log_origin import change_origin
from storage.catalogue.proofs.publish import publish_head
from storage.custody.origin import is_new_origin
from storage.signed.signing import FormerOrigin
from storage.vault.keys import keep_log_key


def begun_change(office: Office) -> str | None:
    """Return the origin of a change that was begun and not finished, if there is one."""
    # The signer's own file knows of it: until the change is finished it refuses to sign.
    origin = office.signer.next_origin
    return None if origin in {None, office.signer.origin} else origin


def rename_origin(
    settings: Settings, origin: str, on_step: Callable[[str], None] = lambda _step: None
) -> FormerOrigin:
    """Have the log go on under `origin`; return its last head under the old one.

    Said again, it goes on, or finds that all is done. Other centres and workers must be started
    anew afterwards; until then they sign nothing.
    Raises: ApiError (origin-name, origin-used, origin-begun), StationBusyError, CustodyError.
    """
    office = Office.open(settings)
    try:
        # No station of this home may deliver meanwhile: its receipt would need a head that nobody
        # signs.
        lock = hold_station(settings.home, settings.station)
        try:
            key = office.ring.get_verify_key("log")
            begun = begun_change(office)
            # Finished under the name that it began with: a second name would leave the first one's
            # entry in the log for good.
            if begun not in {None, origin}:
                raise ApiError("origin-begun", origin=begun)
            if key.name != origin:
                if not is_new_origin(origin):
                    raise ApiError("origin-name", origin=origin[:80])
                if origin in key.names:
                    raise ApiError("origin-used", origin=origin)
                key = change_origin(office.catalogue, office.signer, key, origin, on_step)
                # Last: until the key file bears the new name, opening the office finds the old one,
                # and this call goes on.
                keep_log_key(settings.keys, key)
                on_step("key-kept")
            # The name that it was founded with: nothing was ever changed.
            elif not key.former:
                raise ApiError("origin-used", origin=origin)
        finally:
            os.close(lock)
    finally:
        office.close()
    # With an office opened anew: signer and ring of the old one still bear the old name.
    _publish_under(settings)
    on_step("published")
    return key.former[-1]


def _publish_under(settings: Settings) -> None:
    """Sign and publish the first head under the new origin."""
    office = Office.open(settings)
    try:
        publish_head(office.catalogue, office.signer, settings.home / "log")
    finally:
        office.close()
