"""Subjects: each kind is spelled in one way, and stays the text that log and rows hold."""

import copy
import json
import pickle

import pytest

from policies.identifiers import SYSTEM, Subject, split_subject
from storage.custody.entries.subjects import CONTINUES, NAMES
from storage.signed import canonical

CONSTRUCTORS = {
    name.removeprefix("of_"): getattr(Subject, name)
    for name in vars(Subject)
    if name.startswith("of_") and name != "of_kind"
}


@pytest.mark.parametrize("kind", sorted(CONSTRUCTORS))
def test_a_subject_is_its_kind_and_id(kind: str) -> None:
    subject = CONSTRUCTORS[kind]("0192")
    assert subject == f"{kind}:0192" == Subject.of_kind(kind, "0192")
    assert split_subject(subject) == (kind, "0192")


def test_whatever_rows_continue_or_name_has_its_constructor() -> None:
    columns = (*CONTINUES.values(), *NAMES.values())
    assert {kind for kinds in columns for kind in kinds.values()} <= set(CONSTRUCTORS)


def test_a_subject_is_the_same_text_wherever_it_goes() -> None:
    subject = Subject.of_case("0192")
    assert json.dumps([subject]).encode() == canonical.encode([subject]) == b'["case:0192"]'
    assert {subject: 1}["case:0192"] == 1
    assert f"{subject}" == str(subject) == copy.deepcopy(subject) == "case:0192"
    assert pickle.loads(pickle.dumps(subject)) == subject  # noqa: S301 - our own


def test_the_office_itself_has_no_id() -> None:
    assert split_subject(SYSTEM) == ("system", "")
