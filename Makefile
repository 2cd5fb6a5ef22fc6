# botd. `make run` and `make test` need Python >= 3.11 with its venv module, and nothing else.
PYTHON ?= python3
ARGS   ?=
JOBS   ?= 2
SEEDS  ?= 10000
FIRST  ?= 0
BIN    := .venv/bin
# each worker keeps to whole modules, so what a module sets up is set up once, and takes work over at the end
SHARED := --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run image image-test test lint format parity sim simcov crash faults bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with the botd command (done by run as well)
	@command -v $(PYTHON) >/dev/null || { echo 'set-up: Python >= 3.11 is needed and $(PYTHON) is not there' >&2; exit 2; }
	@$(PYTHON) scripts/setup.py run

setup-dev:
	@command -v $(PYTHON) >/dev/null || { echo 'set-up: Python >= 3.11 is needed and $(PYTHON) is not there' >&2; exit 2; }
	@$(PYTHON) scripts/setup.py dev

run: setup ## set up, then trade on paper, with a dashboard, until Ctrl-C; ARGS="--config FILE" goes to `botd run`
	@$(BIN)/python scripts/foreground.py $(BIN)/botd serve $(ARGS)

image: ## build the Docker image, as botd, by the Docker engine that runs
	@sh scripts/image.sh

image-test: setup-dev ## build the image and try it on a real Docker engine; starts one (as root) where none runs (minutes)
	@bash scripts/engine.sh sh scripts/image_test.sh $(ARGS)

test: lint ## set up, then run every check; core and language at 100 % branch coverage by their own tests
	@$(BIN)/python -m pytest -n $(JOBS) $(SHARED) --cov --cov-report=term --cov-fail-under=100 tests/core tests/language
	@$(BIN)/python -m pytest -n $(JOBS) $(SHARED) --ignore=tests/core --ignore=tests/language $(ARGS)

lint: setup-dev ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

format: setup-dev ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

parity: setup-dev ## whole recorded files through backtest and daemon, decision by decision (long)
	@BOTD_PARITY=full $(BIN)/python -m pytest tests/parity $(ARGS)

sim: setup ## the daemon in SEEDS simulated hours of crashes and faults, from seed FIRST on (long)
	@$(BIN)/botd sim --seeds $(SEEDS) --first $(FIRST) --jobs $(JOBS) $(ARGS)

simcov: SEEDS = 200
simcov: setup-dev ## what SEEDS seeds from FIRST on leave out of the core; fails below 95 % in an area of it (long)
	@$(BIN)/python scripts/simcov.py --seeds $(SEEDS) --first $(FIRST) --jobs $(JOBS) $(ARGS)

crash: setup-dev ## kill -9 of the real daemon, 200 times under load and 10 at each failpoint, and broken disks (minutes)
	@BOTD_CRASH=full $(BIN)/python -m pytest -s -v tests/crash $(ARGS)

faults: setup-dev ## which faults of tests/faults.toml have a test; ARGS=--strict fails where a due one has none
	@$(BIN)/python scripts/faults.py $(ARGS)

bench: setup ## our engine beside its peers, in turns; writes bench/results/
	@$(BIN)/python bench/run.py $(ARGS)

lock: setup ## write requirements/*.lock anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@sh scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove .venv and caches; state/ stays
	rm -rf .image .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov dist
	find botd tests bench scripts streamlit_app -name __pycache__ -type d -prune -exec rm -rf {} +
