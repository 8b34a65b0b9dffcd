# Everything a person runs. Each target does its own set-up from a fresh clone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-slow faults check format bench coverage lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed ## fit, compare, register and serve forecasters of a real record
	$(BIN)/gatecast demo $(ARGS)

serve: .venv/installed ## serve the registry's champions on 127.0.0.1:8000
	$(BIN)/gatecast serve $(ARGS)

test: .venv/installed ## the tests that every change must pass, in a few minutes
	$(PYTEST) -n 2 -m "not slow" $(ARGS)

test-slow: .venv/installed ## the longer ones: kills, new environments, real MLflow servers
	$(PYTEST) -m slow $(ARGS)

faults: .venv/installed ## only those that kill processes
	$(PYTEST) -m slow tests/faults $(ARGS)

check: .venv/installed ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## the figures of docs/benchmarks.md; GATECAST_DATA names the data sets
	$(BIN)/python -m benchmarks $(ARGS)

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
