.DEFAULT_GOAL := help
.PHONY: help demo up down test check mutate chaos bench bench-quick format lock
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

help:  ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ See it
demo: .venv/run  ## play five business days against a simulated town; pictures in build/demo/
	@$(BIN)/tideover demo
up: .venv/run  ## start everything and leave it running: Prefect UI, worker, portal, sandbox
	@$(BIN)/tideover up
down: .venv/run  ## stop what `make up` started; data stay
	@$(BIN)/tideover down

##@ Prove it
test: .venv/dev  ## all tests, on a real PostgreSQL and against the sandbox; JOBS=1 one after another
	@$(BIN)/pytest -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder
check: .venv/dev  ## format, lint, types, import contracts, texts, house rules, migrations, forms
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/tideover message lint
	@$(BIN)/pytest -q tests/test_house.py tests/ledger/test_schema.py tests/flows/test_forms.py
mutate: .venv/dev  ## change every number of every rule pack: a case must notice (JURISDICTION=US for one pack)
	@$(BIN)/python -m tests.mutate $(if $(JURISDICTION),--jurisdiction $(JURISDICTION))
chaos: .venv/dev  ## kill every program at random, KILLS=200 times over MESSAGES=5000, count who was contacted twice, lost, or against a rule; OUTAGES=1 adds database, provider, disk, clocks
	@$(BIN)/python -m tests.chaos --kills $(or $(KILLS),200) --messages $(or $(MESSAGES),5000) --seed $(or $(SEED),1) $(if $(OUTAGES),--outages)
bench: .venv/dev  ## how fast, as ratios to a floor in the same run, into build/bench.json; FULL=1 with a million borrowers, BUDGET=60 minutes
	@$(BIN)/python -m tests.bench $(if $(FULL),--full) $(if $(BUDGET),--budget $(BUDGET))
bench-quick: .venv/dev  ## the same with few borrowers, in a few minutes
	@$(BIN)/python -m tests.bench --quick

##@ Work on it
format: .venv/dev  ## rewrite the code as the formatter wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
lock: .venv/dev  ## compile requirements/*.txt again from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra build pyproject.toml -o requirements/run.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra build --extra pools -c requirements/run.txt pyproject.toml -o requirements/pools.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra build --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"tideover needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv .venv || { echo "this Python has no venv module (Debian: apt install python3-venv)"; exit 1; }

.venv/run: requirements/run.txt pyproject.toml | .venv/bin/python
	@test -e .venv/dev || { echo "installing packages (about a minute, once) …"; $(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt; }
	@test ! -e .venv/dev || $(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Without dependencies: the list is complete, and two oracles are used without what they ask for (pyproject.toml, tool.uv).
.venv/dev: requirements/dev.txt .venv/run
	@echo "installing test tools (once) …"; $(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $@
