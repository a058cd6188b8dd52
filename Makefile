# Everything a newcomer needs. `make demo` and `make test` set themselves up.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := examples/campaigns/quickstart.yaml
# Inference on two busy cores with two spinning threads is ten times slower than with one.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup dev demo lint test check format docker benchmark pins clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || ./scripts/system-packages python3-venv
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.runtime ## Make .venv with dyno and the embedded engine in it
	@echo "ready: $(BIN)/dyno --help"

dev: $(VENV)/.dev ## The same with what tests and checks need
	@echo "ready: make check, make test"

demo: $(VENV)/.runtime ## Fetch the demo model and run the quickstart campaign on a real engine
	$(BIN)/dyno model fetch
	$(BIN)/dyno campaign run $(DEMO)

test: $(VENV)/.dev ## Run every test that CI runs
	$(BIN)/dyno model fetch
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

check: lint test ## All that a change must pass: lint, then test

lint: $(VENV)/.dev ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=src:scripts/reference $(BIN)/mypy --config-file pyproject.toml scripts/reference
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docker: ## Say what running in containers needs (it is not there yet)
	@echo "running engines in containers is not available yet; see docs/reference/features.md"

benchmark: $(VENV)/.dev ## Print the benchmark figures (see benchmarks/RESULTS.md)
	for script in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$script .py); done

pins: ## Pin the newest versions again, with hashes
	./scripts/pin

clean: ## Remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
