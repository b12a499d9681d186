"""docker-compose.yml from `county.toml`: the same topology as containers.

Every container runs as one unprivileged user on a read-only root without capabilities, so that
files of mode 0600 in a volume are readable to exactly those whom the volume is mounted for.
`python -m deploy.compose` writes the file; with `--check` it tells whether it is up to date.
Follows the Compose Specification (compose-spec.io).
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from deploy.county import HERE, County, Service, filled

FILE = HERE.parent / "docker-compose.yml"
USER = "10001:10001"  # as the Dockerfile makes it
IMAGE = "liuhen:0.1.0"
DEPLOY = "/opt/liuhen/deploy"
HEAD = """\
# Made from deploy/county.toml by `python -m deploy.compose`; change it there.
# `docker compose up -d` is all; docs/OPERATIONS.md, "County", says what to carry away afterwards.
"""
_CONDITIONS = {
    "started": "service_started",
    "healthy": "service_healthy",
    "done": "service_completed_successfully",
}
_ASK = "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=4)"


def render(county: County) -> str:
    """Return the text of docker-compose.yml."""
    document = {
        "name": county.name,
        "services": {service.name: _service(county, service) for service in county.services},
        "networks": {
            "outside": {},
            "front": {"internal": True, **_addresses(county, "front")},
            "back": {"internal": True},
        },
        "volumes": {
            name: {} for service in county.services for name in (*service.folders, *service.reads)
        },
    }
    return HEAD + yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


def _addresses(county: County, network: str) -> dict[str, Any]:
    """Return the addresses of a network, where the definition names them."""
    if network not in county.networks:
        return {}
    return {"ipam": {"config": [{"subnet": county.networks[network]}]}}


def _service(county: County, service: Service) -> dict[str, Any]:
    places = _places(county, service)
    made: dict[str, Any] = {"image": county.images.get(service.image, IMAGE)}
    if service.image == "office":
        made["build"] = {"context": ".", "args": {"PYTHON": county.images["python"]}}
    if service.profile:
        made["profiles"] = [service.profile]
    made["entrypoint" if service.run else "command"] = [
        filled(word, places) for word in service.run or service.command
    ]
    environment = county.environment(service)
    if environment:
        made["environment"] = {key: filled(value, places) for key, value in environment.items()}
    if service.health:
        made["healthcheck"] = _health(service, places)
    if service.after:
        made["depends_on"] = {
            other.name: {"condition": _CONDITIONS[condition]}
            for other, condition in county.dependencies(service)
        }
    if service.networks:
        made["networks"] = list(service.networks)
    else:
        made["network_mode"] = "none"
    if service.publish:
        made["ports"] = [f"{service.publish}:{service.port}"]
    if volumes := _volumes(service):
        made["volumes"] = volumes
    return made | _walls(service)


def _walls(service: Service) -> dict[str, Any]:
    """Return what shuts a service in, alike for all."""
    return {
        "user": USER,
        "init": True,
        "read_only": True,
        "tmpfs": list(service.scratch),
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "on-failure:5" if service.once else "unless-stopped",
        "stop_grace_period": service.grace,
        "deploy": {"resources": {"limits": {"memory": service.memory, "pids": 512}}},
        "logging": {"driver": "local", "options": {"max-size": "20m", "max-file": "5"}},
    }


def _health(service: Service, places: dict[str, str]) -> dict[str, Any]:
    if isinstance(service.health, str):
        address = filled(service.health, places)
        asking = ["python", "-c", _ASK] if service.image == "office" else ["wget", "-q", "-O-"]
        test = ["CMD", *asking, address]
    else:
        test = ["CMD", *(filled(word, places) for word in service.health)]
    return {
        "test": test,
        "interval": service.health_every,
        "timeout": "10s",
        "retries": 6,
        "start_period": "60s",
    }


def _places(county: County, service: Service) -> dict[str, str]:
    addresses = {
        other.name: f"{other.name}:{other.port}" for other in county.services if other.port
    }
    own = {"listen": "0.0.0.0", "name": service.name, "port": str(service.port)}  # noqa: S104
    own |= {f"port-{name}": str(port) for name, port in service.ports.items()}
    return {
        **addresses,
        **county.networks,
        **service.folders,
        **service.reads,
        **own,
        "made": "/made",
        "deploy": DEPLOY,
        "tools": DEPLOY,
    }


def _volumes(service: Service) -> list[str]:
    return [
        *(f"{name}:{path}" for name, path in service.folders.items()),
        *(f"{name}:{path}:ro" for name, path in service.reads.items()),
        *(f"./deploy/{name}:{path}:ro" for name, path in service.mounts.items()),
    ]


class _Plain(yaml.SafeDumper):
    """YAML without anchors, lists indented below their key."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002
        del indentless
        super().increase_indent(flow, indentless=False)


def main(arguments: list[str]) -> int:
    """Write docker-compose.yml, or check it. Exit status 1: it is not what the definition says."""
    text = render(County.load())
    if arguments == ["--check"]:
        return 0 if FILE.read_text(encoding="utf-8") == text else 1
    Path(FILE).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
