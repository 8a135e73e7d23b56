# Two commands do everything: `make demo` and `make test`. Both set up what they need, and are quick the second time.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# With more workers than cores, tests that race on purpose miss the moments that they wait for.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)

.DEFAULT_GOAL := help
.PHONY: help demo serve test torture lint docs package bench format clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.base ## An agent works, is killed, resumes, asks, and is forked: on SQLite, no server needed
	@$(BIN)/python manage.py demo

serve: $(VENV)/.base ## The admin on this machine, with runs in it; prints the address and a login
	@$(BIN)/python manage.py serve $(ARGS)

test: $(VENV)/.dev ## All tests, on SQLite and on a PostgreSQL server of their own
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup $(ARGS)

torture: $(VENV)/.dev ## Ten minutes in which writers and the server are killed: what was acknowledged must be there
	$(BIN)/python -m tests.torture $(ARGS)

lint: $(VENV)/.dev ## Linter, formatter, types, missing migrations, Django's system checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING

docs: $(VENV)/.docs ## The documentation as a site in build/docs; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs
	@echo "build/docs/index.html"

package: $(VENV)/.docs ## The source and the wheel that a release uploads, in dist, checked
	@rm -rf dist
	$(BIN)/python -m build -q
	$(BIN)/python -m twine check --strict dist/*

bench: $(VENV)/.dev ## Five minutes of measuring beside the peers, on a PostgreSQL server of its own
	$(BIN)/python -m benchmarks $(ARGS)

format: $(VENV)/.dev ## Let the formatter and the linter mend what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the virtual environment and all caches
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +
	rm -rf $(VENV) .cache .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[api,client]"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[api,client,postgres]" --group dev
	@touch $@ $(VENV)/.base

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[all]" --group docs --group package
	@touch $@
