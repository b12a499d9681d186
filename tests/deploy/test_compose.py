"""docker-compose.yml: what it must hold, and that it says what the definition says."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose import FILE, render
from deploy.county import County, CountyError, filled

ROOT = FILE.parent
DIGEST = re.compile(r"^[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}$")
ENGINES = {"db", "objects", "bucket", "proxy"}


@pytest.fixture(scope="module")
def county() -> County:
    return County.load()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def test_committed_file_is_what_the_definition_renders(county: County) -> None:
    assert FILE.read_text(encoding="utf-8") == render(county)


def test_file_follows_the_compose_specification() -> None:
    done = schema_check(FILE)
    assert done.returncode == 0, done.stdout


def test_schema_check_would_find_a_slip(tmp_path: Path, compose: dict[str, Any]) -> None:
    compose = {**compose, "services": {"db": {**compose["services"]["db"], "restrat": "always"}}}
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(yaml.safe_dump(compose), encoding="utf-8")
    assert "restrat" in schema_check(wrong).stdout


def schema_check(file: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--no-cache"]
    command += ["--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_two_centres_and_two_workers_stand_behind_one_proxy(services: dict[str, Any]) -> None:
    assert {"db", "objects", "bucket", "migrate", "proxy", "station", "first-start"} <= set(
        services
    )
    assert {"centre-1", "centre-2", "worker-1", "worker-2"} <= set(services)
    assert [name for name in services if "ports" in services[name]] == ["proxy"]


def test_every_image_is_pinned_by_tag_and_digest(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image = service["image"]
        assert "latest" not in image
        if name in ENGINES:
            assert DIGEST.match(image), name
        else:
            assert image.startswith("liuhen:"), name
            assert DIGEST.match(service["build"]["args"]["PYTHON"]), name


def test_an_upgraded_database_server_meets_the_old_files(services: dict[str, Any]) -> None:
    # It refuses them. In a folder named by its version it would begin an empty database.
    database = services["db"]
    (mount,) = [line.split(":")[1] for line in database["volumes"] if line.startswith("database:")]
    assert mount == "/var/lib/postgresql/data"  # where the image of 17 looks; 18 looks elsewhere
    assert database["environment"]["PGDATA"] == f"{mount}/county"


def test_images_of_python_and_database_are_of_one_debian(county: County) -> None:
    for name in ("python", "postgres"):
        assert county.images[name].split("@")[0].endswith("-trixie"), name


def test_no_secret_stands_in_the_file(services: dict[str, Any]) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert not re.search(
        r"(?i)(password|secret|key)[^\n/]*[:=]\s*['\"]?[0-9a-z]{8,}['\"]?$", text, re.MULTILINE
    )
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY|ROOT_USER|TOKEN", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/run/secrets/")
    # Nor is one asked of whoever starts it: the variables are a port, a network and names.
    asked = {"LIUHEN_COUNTY", "LIUHEN_TOWNSHIP", "LIUHEN_LOG_ORIGIN"}
    variables = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert variables == asked | {"LIUHEN_PUBLISH", "LIUHEN_FRONT", "LIUHEN_CENTRE_NAMES"}


def test_every_service_is_shut_in(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"][0], name
        assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service), name
        limits = service["deploy"]["resources"]["limits"]
        assert limits["memory"], name
        assert limits["pids"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["stop_grace_period"], name


def test_every_service_comes_back_and_tells_how_it_is(
    county: County, services: dict[str, Any]
) -> None:
    for service in county.services:
        made = services[service.name]
        if service.once:
            assert made["restart"] == "on-failure:5"
        else:
            assert made["restart"] == "unless-stopped"
            assert made["healthcheck"]["test"][0] == "CMD"
            assert made["healthcheck"]["start_period"]


def test_database_and_store_cannot_be_reached_from_outside(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert compose["networks"]["back"] == {"internal": True}
    front = compose["networks"]["front"]
    (config,) = front["ipam"]["config"]
    assert front["internal"]
    for name in ("centre-1", "centre-2"):
        trusted = json.loads(services[name]["environment"]["LIUHEN_TRUSTED_PROXIES"])
        assert trusted == [config["subnet"]]
    for name in ("db", "objects", "bucket", "migrate", "worker-1", "worker-2"):
        assert services[name]["networks"] == ["back"], name
    assert services["centre-1"]["networks"] == ["front", "back"]
    assert services["proxy"]["networks"] == ["outside", "front"]
    assert services["station"]["networks"] == ["outside"]
    assert services["first-start"]["network_mode"] == "none"


def test_each_secret_is_mounted_for_its_readers_alone(services: dict[str, Any]) -> None:
    def readers(volume: str) -> set[str]:
        mounts = {name: service.get("volumes", []) for name, service in services.items()}
        return {
            name for name, lines in mounts.items() if any(x.startswith(f"{volume}:") for x in lines)
        }

    makers = {"first-start"}
    office = {"migrate", "centre-1", "centre-2", "worker-1", "worker-2", "introduce"}
    assert readers("secrets-db") == makers | {"db"}
    assert readers("secrets-objects") == makers | {"objects", "bucket"}  # the root key
    assert readers("secrets-office") == makers | {"bucket"} | office
    assert readers("secrets-proxy") == makers | {"proxy"}
    assert readers("authority") == makers
    assert readers("home") == makers | office
    for name in set(services) - makers:
        for line in services[name].get("volumes", []):
            if line.startswith(("secrets-", "./", "trust")):
                assert line.endswith(":ro"), (name, line)


def test_services_wait_for_what_they_need(services: dict[str, Any]) -> None:
    def waits(name: str) -> dict[str, str]:
        return {other: told["condition"] for other, told in services[name]["depends_on"].items()}

    assert waits("db") == {"first-start": "service_completed_successfully"}
    assert waits("bucket") == {"objects": "service_healthy"}
    assert waits("migrate") == {"db": "service_healthy", "bucket": "service_completed_successfully"}
    assert waits("centre-2") == {"migrate": "service_completed_successfully"}
    assert waits("worker-1") == {"migrate": "service_completed_successfully"}


def test_proxy_knows_each_centre(county: County, services: dict[str, Any]) -> None:
    servers = (ROOT / "deploy/proxy/haproxy.cfg").read_text(encoding="utf-8")
    for number, centre in enumerate(county.of("centre"), 1):
        assert f'server {centre.name} "$CENTRE_{number}"' in servers
        assert services["proxy"]["environment"][f"CENTRE_{number}"] == f"{centre.name}:8743"


def test_simulated_station_is_not_started_in_a_real_county(services: dict[str, Any]) -> None:
    simulated = {name for name, service in services.items() if "profiles" in service}
    assert simulated == {"introduce", "station"}


VALID = """
name = "x"
[images]
a = "a"
[settings.s]
[services.one]
image = "a"
run = ["true"]
once = true
networks = []
memory = "1m"
[services.two]
image = "a"
run = ["true"]
health = ["true"]
after = { one = "done" }
networks = []
memory = "1m"
"""


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('image = "a"\nrun', 'image = "b"\nrun', "no image b"),
        ("once = true", "onec = true", "unknown ['onec']"),
        ("once = true", "", "one: no health check"),
        ('{ one = "done" }', '{ one = "healthy" }', "one is never healthy"),
        ('{ one = "done" }', '{ three = "done" }', "no service three"),
        ('{ one = "done" }', '{ two = "started" }', "two must stand before it"),
        ("once = true", 'once = true\ncommand = ["x"]', "either run or command"),
        ("once = true", 'once = true\nsettings = ["t"]', "no settings ['t']"),
        ('networks = []\nmemory = "1m"\n[services.two]', "networks = []\n[services.two]", "memory"),
    ],
)
def test_contradicting_definition_is_refused(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    file = tmp_path / "county.toml"
    file.write_text(VALID, encoding="utf-8")
    assert len(County.load(file).services) == 2
    assert before in VALID
    file.write_text(VALID.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(CountyError, match=re.escape(told)):
        County.load(file)


def test_unknown_place_is_refused_and_variables_stay() -> None:
    assert filled("{db} ${NAME:-x} {a-1}", {"db": "h:1", "a-1": "y"}) == "h:1 ${NAME:-x} y"
    with pytest.raises(CountyError, match=r"no place \{nowhere\}"):
        filled("{nowhere}", {})
