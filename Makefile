# The verbs of the project. `make demo` and `make test` need nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
PINS := densegym/assets/constraints.txt
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Several BLAS threads on small matrices only get in each other's way.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo bench-credit bench-progress bench-nethack bench-nethack-score setup test test-all \
	test-install check format clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

demo: $(VENV)/.demo  ## Set up what it needs, train three rewards on a Sawyer task, show the table
	$(BIN)/densegym bench demo

bench-credit: $(VENV)/.full  ## Redistributors on delayed HalfCheetah (20 minutes); run again to go on
	$(BIN)/densegym bench delayed --json

setup: $(VENV)/.full  ## Set up everything

test: setup check  ## Set up everything, check the code, run the default tests
	$(BIN)/python -m pytest -n 2

test-all: setup check  ## Also the slow tests
	$(BIN)/python -m pytest -n 2 -m "slow or not slow" --ignore tests/install/test_matrix.py

test-install: setup  ## Try the wheel in fresh environments, all or those of ONLY=PATTERN (an hour, downloads included)
	nice $(BIN)/python -m pytest -m slow -rs --durations=0 tests/install/test_matrix.py -k "$(ONLY)"

check: setup  ## Formatting, lint, types and the one-way imports between packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

PROGRESS := ButtonPress WindowOpen WindowClose DoorUnlock DoorClose DrawerOpen

bench-progress: setup  ## Judges of pictures fitted for six Sawyer tasks and trained with, three seeds: hours
	for task in $(PROGRESS); do \
		$(BIN)/densegym demos collect DenseGym/$$task-v0 && \
		$(BIN)/densegym fit progress/local --task DenseGym/$$task-v0 || exit 1; done
	$(BIN)/densegym bench progress --workers 2

bench-nethack-score: setup  ## NetHackScore, two million steps, three rewards, three seeds (80 minutes)
	$(BIN)/densegym bench nethack-score --workers 2

bench-nethack: setup  ## KeyRoom with caption rewards and their controls, five seeds (about an hour of two cores)
	$(BIN)/densegym bench nethack --workers 2

format: setup  ## Format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the environment and what tools left behind
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and alone: a plain range may pull several gigabytes of another build.
$(VENV)/.torch: $(VENV)/bin/python $(PINS)
	@echo "installing torch, then the rest; this takes a few minutes the first time"
	$(PIP) "$$(grep '^torch==' $(PINS))"
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml $(PINS)
	sh scripts/rendering.sh
	$(PIP) -e ".[robot,agents,vision]" -c $(PINS)
	@touch $@

$(VENV)/.full: $(VENV)/.torch pyproject.toml $(PINS)
	sh scripts/rendering.sh
	sh scripts/browser.sh
	$(PIP) -e ".[all,dev]" -c $(PINS)
	@touch $@
