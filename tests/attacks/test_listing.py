"""docs/ATTACKS.md says what the attacks are."""

from tests.attacks.attack import every_attack
from tests.attacks.listing import PAGE, page


def test_the_page_is_made_of_the_attacks():
    assert PAGE.read_text(encoding="utf-8") == page(), "run make attacks"


def test_each_attack_has_a_name_of_its_own():
    names = [one.name for one in every_attack()]
    assert len(names) > 40
    assert len(names) == len(set(names))
