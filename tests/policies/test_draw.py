"""Random draws that anyone can repeat, and that nobody can bend."""

import subprocess
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.access import random_selection as module
from policies.access.random_selection import (
    digest_population,
    draw_ids,
    pair_inspectors,
    record_draw,
)

IDS = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8), max_size=30
)
PEOPLE = [f"o{n}" for n in range(8)]


def test_a_draw_is_what_it_was_when_it_was_first_published():
    # Ranked once with sha256sum: another method would change every draw that was ever published.
    population = ["甲", "乙", "丙", "丁", "戊"]
    assert draw_ids("2026-01-21", population, 5, "抽查对象") == ("甲", "丁", "丙", "戊", "乙")


def test_the_recipe_in_the_documentation_repeats_a_draw():
    recipe = [line[4:] for line in (module.__doc__ or "").splitlines() if line.startswith("    ")]
    names = {"ids": [*PEOPLE, "o1"], "seed": "3 17 22", "purpose": "p", "count": 3}
    exec("\n".join(recipe), names)  # noqa: S102 - the documentation is what is tested
    assert tuple(names["chosen"]) == draw_ids("3 17 22", PEOPLE, 3, "p")


def test_a_shell_repeats_a_draw_and_the_digest_of_its_population():
    script = (
        "for id in o1 o2 o3 o4 o5; do "
        'printf "%s %s\\n" "$(printf "p\\nseed\\n%s" $id | sha256sum | cut -c1-64)" $id; '
        "done | LC_ALL=C sort | head -n 3 | cut -d' ' -f2"
    )
    people = ["o5", "o4", "o3", "o2", "o1"]
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert tuple(told.stdout.split()) == draw_ids("seed", people, 3, "p")
    summed = subprocess.run(
        ["sh", "-c", "LC_ALL=C sort -u | sha256sum | cut -c1-64"],
        input="".join(f"{one}\n" for one in [*people, "o1", "甲"]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert summed.stdout.strip() == digest_population([*people, "甲"])


@given(IDS, st.randoms(use_true_random=False), st.integers(0, 40))
def test_neither_order_nor_doubles_change_a_draw(ids, random, count):
    mixed = [*ids, *ids[:3]]
    random.shuffle(mixed)
    assert record_draw("s", mixed, count, "p") == record_draw("s", ids, count, "p")


@given(IDS, st.integers(0, 40))
def test_a_draw_takes_so_many_different_ones_of_the_population(ids, count):
    chosen = draw_ids("s", ids, count, "p")
    assert len(chosen) == len(set(chosen)) == min(count, len(set(ids)))
    assert set(chosen) <= set(ids)


@given(IDS, st.integers(0, 20))
def test_drawing_more_keeps_who_was_drawn_before(ids, count):
    assert draw_ids("s", ids, count + 1, "p")[:count] == draw_ids("s", ids, count, "p")


def test_every_seed_and_every_purpose_draws_anew():
    ids = [f"r{n}" for n in range(200)]
    assert draw_ids("a", ids, 20, "p") != draw_ids("b", ids, 20, "p")
    assert draw_ids("a", ids, 20, "p") != draw_ids("a", ids, 20, "q")


def test_everyone_is_drawn_about_as_often_as_everyone_else():
    seeds, taken = 3000, 3
    population = [f"o{n}" for n in range(10)]
    counts = Counter(
        one for n in range(seeds) for one in draw_ids(f"seed {n}", population, taken, "fair")
    )
    expected = seeds * taken / len(population)
    chi_square = sum((counts[one] - expected) ** 2 / expected for one in population)
    assert chi_square < 27.9  # 9 degrees of freedom, p = 0.001; the seeds are fixed


def test_every_place_in_the_order_is_as_likely():
    firsts = Counter(draw_ids(f"{n}", "abcdefgh", 1, "fair")[0] for n in range(4000))
    chi_square = sum((firsts[one] - 500) ** 2 / 500 for one in "abcdefgh")
    assert chi_square < 24.4  # 7 degrees of freedom, p = 0.001


def test_somebody_added_afterwards_is_seen_even_when_not_drawn():
    before = record_draw("s", PEOPLE, 2, "p")
    for n in range(50):
        assert not before.matches_population([*PEOPLE, f"late{n}"])
    assert not before.matches_population(PEOPLE[1:])
    assert before.matches_population(reversed(PEOPLE))


def test_a_draw_from_nobody_takes_nobody():
    assert record_draw("s", [], 3, "p").chosen == ()
    assert record_draw("s", PEOPLE, 0, "p").chosen == ()


@pytest.mark.parametrize(
    ("seed", "ids", "count", "purpose"),
    [
        ("s", ["a"], -1, "p"),
        ("", ["a"], 1, "p"),
        ("s", ["a"], 1, ""),
        ("s\nx", ["a"], 1, "p"),
        ("s", ["a\nb"], 1, "p"),
        ("s", [""], 1, "p"),
        ("s", ["a"], 1, "p\rq"),
        ("s", ["\ud800"], 1, "p"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(seed, ids, count, purpose):
    with pytest.raises(ValueError):
        draw_ids(seed, ids, count, purpose)


def test_each_object_has_two_inspectors_and_none_who_must_stay_away():
    barred = {"店一": {"o1", "o2", "o3"}, "店二": {"o4"}}
    result = pair_inspectors("s", PEOPLE, ["店一", "店二", "店三"], excluded=barred)
    assert set(result.assigned) == {"店一", "店二", "店三"}
    for thing, chosen in result.assigned.items():
        assert len(set(chosen)) == 2
        assert not set(chosen) & barred.get(thing, set())
    assert result.short == ()


def test_exclusions_that_leave_too_few_are_told():
    result = pair_inspectors("s", ["o1", "o2"], ["店一", "店二"], excluded={"店二": {"o1"}})
    assert result.short == ("店二",)
    assert result.assigned["店二"] == ("o2",)


def test_taking_an_object_out_changes_nothing_for_the_others():
    whole = pair_inspectors("s", PEOPLE, ["店一", "店二", "店三"])
    part = pair_inspectors("s", PEOPLE, ["店三", "店一"])
    assert part.assigned == {name: whole.assigned[name] for name in ("店一", "店三")}
    assert part.objects != whole.objects
    assert part.inspectors == whole.inspectors


def test_a_pairing_can_be_repeated_object_by_object():
    result = pair_inspectors("s", PEOPLE, ["店一"], purpose="检查人员")
    assert result.assigned["店一"] == draw_ids("s", PEOPLE, 2, "检查人员 for 店一")


def test_an_exclusion_removes_one_inspector_and_reorders_nobody():
    ranked = draw_ids("s", PEOPLE, len(PEOPLE), "inspectors for 店一")
    result = pair_inspectors("s", PEOPLE, ["店一"], excluded={"店一": {ranked[0]}})
    assert result.assigned["店一"] == ranked[1:3]
