"""docs/ATTACKS.md says what the attacks say of themselves, and none stands there twice."""

from tests.attacks.attack import every_attack
from tests.attacks.listing import PAGE, page


def test_the_page_is_what_the_attacks_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.attacks.listing"


def test_each_pair_of_asset_and_act_is_another():
    names = [one.name for one in every_attack()]
    assert len(names) == len(set(names))
