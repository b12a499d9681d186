"""The Dockerfile, the shell scripts and the store's policy: what must stand in them."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from deploy.compose import DEPLOY, USER
from deploy.county import County
from deploy.first_start import SECRETS

ROOT = Path(__file__).parents[2]
FORBIDDEN = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
)


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def values(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [value for name, value in instructions if name == word]


def test_stages_start_from_the_pinned_image(instructions: list[tuple[str, str]]) -> None:
    assert values(instructions, "FROM") == ["${PYTHON} AS build", "${PYTHON}"]
    assert instructions[0] == ("ARG", f"PYTHON={County.load().images['python']}")


def test_image_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    assert values(instructions, "USER") == [USER]
    after = instructions[instructions.index(("USER", USER)) :]
    assert {name for name, _ in after} == {"USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert any("--uid 10001" in run for run in values(instructions, "RUN"))


def test_the_language_itself_is_compiled_while_it_may_be(
    instructions: list[tuple[str, str]],
) -> None:
    """Nothing is compiled at a start: nobody may write there, and each start would do it anew."""
    compiled = [number for number, (_, run) in enumerate(instructions) if "compileall" in run]
    assert compiled
    assert compiled[-1] > instructions.index(("FROM", "${PYTHON}"))
    assert compiled[-1] < instructions.index(("USER", USER))


def test_commands_are_in_exec_form(instructions: list[tuple[str, str]]) -> None:
    for word in ("ENTRYPOINT", "CMD"):
        (value,) = values(instructions, word)
        assert json.loads(value)
    (health,) = values(instructions, "HEALTHCHECK")
    assert json.loads(health.split("CMD", 1)[1])


def test_packages_are_checked_by_hash_and_nothing_else_is_fetched(
    instructions: list[tuple[str, str]],
) -> None:
    downloads, *rest = [run for run in values(instructions, "RUN") if "pip" in run]
    assert "--require-hashes" in downloads
    assert "--only-binary :all:" in downloads
    steps = [
        step
        for run in rest
        for step in run.split("&&")
        if "pip install" in step or "pip wheel" in step
    ]
    assert steps
    assert all("--no-index" in step for step in steps)
    assert not any(re.search(r"curl|wget|https?://", run) for run in values(instructions, "RUN"))
    assert not values(instructions, "ADD")


def test_labels_tell_what_the_image_is(instructions: list[tuple[str, str]]) -> None:
    labels = " ".join(values(instructions, "LABEL"))
    for label in ("title", "description", "version", "licenses"):
        assert f"org.opencontainers.image.{label}=" in labels


def test_folders_of_volumes_belong_to_the_user(instructions: list[tuple[str, str]]) -> None:
    made = " ".join(values(instructions, "RUN")).split()
    (first,) = County.load().of("first-start")
    for path in first.folders.values():
        assert path.lstrip("/") in made


def test_programs_of_the_services_are_in_the_image(instructions: list[tuple[str, str]]) -> None:
    (copied,) = [line for line in values(instructions, "COPY") if line.endswith(f"{DEPLOY}/")]
    for service in County.load().services:
        health = () if isinstance(service.health, str) else service.health
        for word in (*service.run, *health):
            if word.startswith("{tools}/"):
                assert f"deploy/{word.removeprefix('{tools}/')}" in copied.split()
            elif word.startswith("{deploy}/"):
                assert (ROOT / "deploy" / word.removeprefix("{deploy}/")).is_file()
                assert word.split("/")[1] in service.mounts


def test_builder_is_sent_sources_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line for line in lines if line.startswith("!")} == {
        "!api", "!deploy", "!ingest", "!policies", "!storage",
        "!LICENSE", "!README.md", "!pyproject.toml", "!requirements.lock",
    }  # fmt: skip


@pytest.mark.parametrize("script", sorted(ROOT.glob("deploy/**/*.sh")), ids=lambda path: path.name)
def test_script_is_sound_shell(script: Path) -> None:
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert "set -eu" in script.read_text(encoding="utf-8")
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=10)


def test_application_may_not_lift_what_protects_evidence() -> None:
    policy = json.loads((ROOT / "deploy/objects/application-policy.json").read_text())

    def actions(effect: str) -> list[str]:
        told = [each for each in policy["Statement"] if each["Effect"] == effect]
        return [action for statement in told for action in statement["Action"]]

    granted = actions("Allow")
    assert not set(FORBIDDEN) & set(granted)
    assert not any("*" in action for action in granted)
    assert "s3:DeleteObjectVersion" in granted  # destruction, and payloads never accessioned
    # Leaving it out is not enough: Ceph 16 lets anyone pass a governance lock who is not denied it.
    assert set(actions("Deny")) == set(FORBIDDEN)
    for statement in policy["Statement"]:
        for resource in statement["Resource"]:
            assert resource.startswith("arn:aws:s3:::liuhen-evidence")


def test_policy_is_of_the_bucket_that_is_made() -> None:
    county = County.load()
    (bucket,) = county.of("bucket")
    assert bucket.run[-1] == "liuhen-evidence"
    assert "/liuhen-evidence?" in county.settings["office"]["LIUHEN_OBJECTS_URL"]


def test_every_secret_that_is_read_is_made() -> None:
    made = {file for _, files in SECRETS for file in files}
    for service in County.load().services:
        for variable, value in County.load().environment(service).items():
            if variable.startswith("LIUHEN_") and variable.endswith("_FILE"):
                assert value.replace("{", "").replace("}", "") in made
    script = (ROOT / "deploy/objects/prepare.sh").read_text(encoding="utf-8")
    for word in shlex.split(script, comments=True):
        for found in re.findall(r"secret (root|office)/([a-z-]+)", word):
            folder = {"root": "secrets-objects", "office": "secrets-office"}[found[0]]
            assert f"{folder}/{found[1]}" in made
