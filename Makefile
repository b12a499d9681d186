# Liuhen: every way to run, check and measure it. `make help` lists the targets.
# The newest Python of 3.11 to 3.13 that is there and runs; the job engine needs SQLite 3.42 from 3.12 on.
FITS := import sqlite3, sys; v = sys.version_info; sys.exit(not ((3, 11) <= v < (3, 12) or v < (3, 14) and v >= (3, 12) and sqlite3.sqlite_version_info >= (3, 42)))
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
  $$name -c '$(FITS)' 2>/dev/null && { echo $$name; break; }; done)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check lint types bench faults faults-scale attacks browser lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

# The environment is built once for each lock file; hashes are checked on every package.
$(VENV)/ready: requirements.lock tests/third_party/requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "需要 Python 3.11,或者带 SQLite 3.42 的 3.12、3.13。 Python 3.11 is needed, or 3.12 or 3.13 with SQLite 3.42."; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); DEBIAN_FRONTEND=noninteractive $$( [ "$$(id -u)" = 0 ] || echo sudo ) apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	@# Published as source alone. Where it cannot be built, its test says that it did not read.
	@$(PIP) install --require-hashes --no-build-isolation --no-deps -r tests/third_party/requirements.lock || true
	@touch $@

setup: $(VENV)/ready ## install everything that the service needs
	@deploy/system-packages demo

demo: setup ## run the whole main job on sample footage, then say how to go on
	$(BIN)/liuhen demo

serve: setup ## run service, console and station on ./var
	$(BIN)/liuhen serve

test: $(VENV)/ready ## install everything and run all tests; tell of the dearest
	@deploy/system-packages test
	$(BIN)/python -m pytest -n 2 --dist loadfile -q --costs
	$(BIN)/python -m pytest -n 2 --dist loadfile -q --costs tests/storage tests/api --database postgresql -m database

PURE := tests/test_architecture.py tests/policies tests/storage/custody tests/docs

check: $(VENV)/ready lint types ## lint, types and the tests that need no service: a minute
	$(BIN)/python -m pytest -n 2 -q $(PURE)

lint: $(VENV)/ready ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready ## mypy, strict
	$(BIN)/mypy

bench: $(VENV)/ready ## measure speed and memory as ratios
	@deploy/system-packages test
	$(BIN)/python -m bench

MATRICES := tests/ingest/bays/test_census.py tests/ingest/media/test_inspection_real.py

faults: $(VENV)/ready ## the fault tests alone, every case: crashes, full disks, hostile input
	@deploy/system-packages test
	LIUHEN_MACHINE_STEPS=20000 LIUHEN_WHOLE=1 $(BIN)/python -m pytest -q tests/faults $(MATRICES)

faults-scale: $(VENV)/ready ## two centres, two workers, four stations, 500 recordings; all killed at random
	@deploy/system-packages test
	$(BIN)/python -m tests.faults.scale_out

attacks: $(VENV)/ready ## every attack upon evidence and log; writes docs/ATTACKS.md when all are named
	@deploy/system-packages test
	LIUHEN_WHOLE=1 $(BIN)/python -m pytest -q tests/attacks tests/third_party --deselect tests/attacks/test_listing.py
	$(BIN)/python -m tests.attacks.listing

browser: $(VENV)/ready ## the console in a real Chromium
	@deploy/system-packages test
	$(BIN)/python -m pytest -q -m browser

LOCKED := --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11

lock: $(VENV)/ready ## renew both locks from pyproject.toml
	$(BIN)/uv --version >/dev/null 2>&1 || $(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --group dev $(LOCKED) -o requirements.lock
	$(BIN)/uv pip compile --group source $(LOCKED) -o tests/third_party/requirements.lock

clean: ## remove the environment and caches (never ./var)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
