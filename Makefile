# Everything a person runs. Each target does its own set-up from a fresh clone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo serve up stack stack-down test test-slow test-long faults check format bench peers coverage lock \
	clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed ## fit, compare, register and serve forecasters of a real record
	$(BIN)/gatecast demo $(ARGS)

serve: .venv/installed ## serve the registry's champions on 127.0.0.1:8000
	$(BIN)/gatecast serve $(ARGS)

up: .venv/installed ## the service, the scheduler and MLflow's pages together, until Ctrl-C
	$(BIN)/gatecast up $(ARGS)

stack: .venv/installed ## what docker-compose.yml says, as processes here; logs in var/stack
	$(BIN)/python -m processes.stack up $(ARGS)

stack-down: .venv/installed ## stop what `make stack` started
	$(BIN)/python -m processes.stack down $(ARGS)

test: .venv/installed ## the tests that every change must pass, in a few minutes
	$(PYTEST) -n 3 -m "not slow" $(ARGS)

test-slow: .venv/installed ## the longer ones: kills, new environments, real MLflow servers
	$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder -m "slow and not long" $(ARGS)

test-long: .venv/installed ## those of the longer ones that CI has no time for
	$(PYTEST) -m long $(ARGS)

faults: .venv/installed ## kills, lost databases and full disks; ten times the kills of test-slow
	GATECAST_TEST_KILLS=200 $(PYTEST) -m slow tests/faults $(ARGS)

check: .venv/installed ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## the figures of docs/benchmarks.md; GATECAST_DATA names the data sets
	$(BIN)/python -m benchmarks $(ARGS)

peers: .venv/installed .venv-peers/installed ## M4 hourly beside other open forecasters; about an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.peers $(ARGS)

coverage: .venv/installed ## what the tests do not reach
	$(PYTEST) -n 2 -m "not slow" --cov --cov-report=term-missing $(ARGS)

lock: .venv/installed ## resolve requirements.lock anew
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra postgres --python-version 3.11 \
		--no-header --no-annotate -q -o requirements.lock
	@# torch's own build decides what it needs of CUDA; pip asks it at installation
	@sed -i -E 's/^(torch==[0-9.]+)\+.*/\1/; /^(nvidia-|cuda-|triton)/d' requirements.lock

clean: ## remove what the targets made, but not var/
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv-peers/installed: benchmarks/peers/requirements.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	touch $@
