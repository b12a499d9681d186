"""The scene code of this very second, as screens show it (docs/spec/scene-code.md, section 2)."""

from datetime import timedelta

from api.http.case_file.schemas import SceneCodeOut
from api.office.wiring import Office
from ingest.media.scene_code import render_svg
from policies.identifiers import ActionId
from policies.scene_code import Kind, day_key, encode_scene_code, tag_of
from policies.time.wording import COUNTY_TIME


def scene_code(office: Office, action: ActionId, kind: Kind) -> SceneCodeOut:
    """Return the code with the moment at which the next one is due. Raises: KeyRingError."""
    now = office.clock()
    # Cut, never rounded: a code must not be shown before its second (spec/scene-code.md, 2).
    at = now.replace(microsecond=0)
    # The county's day, as a handheld that was given one day's key makes them.
    key = day_key(office.ring.scene_key, at.astimezone(COUNTY_TIME).date())
    text = encode_scene_code(tag_of(action), kind, at, key)
    expires_at = at + timedelta(seconds=1)
    return SceneCodeOut(
        text=text, svg=render_svg(text), at=at, now=now, due=expires_at, kind=kind.value
    )
