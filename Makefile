.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

TOOLS := tests/browser/node_modules/.package-lock.json

.PHONY: help install run test cover browser check fmt schema lock bench clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: .venv/installed $(TOOLS)  ## create .venv with the hub, and everything that its tests need
	$(BIN)/python -m tests.browser.chromium

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) pip
	$(INSTALL) --editable '.[postgres]' --group test
	@touch $@

$(TOOLS): tests/browser/package-lock.json
	npm ci --prefix tests/browser --no-progress
	@touch $@

run: .venv/installed  ## start the hub on http://127.0.0.1:8000 with demonstration data
	HUB_DEV=1 HUB_AUTH_WITHIN_S=120 HUB_FLAG_COORDINATOR_ENABLED=1 $(BIN)/python -m hub serve

test: install  ## run all tests, side by side, against real servers
	$(BIN)/python -m pytest

cover: install  ## the same, and name the lines and branches that no test reaches
	$(BIN)/python -m pytest --cov --cov-report=term

browser: install  ## pictures of the pages in light, dark, small and right-to-left: ./screenshots
	$(BIN)/python -m tests.browser.pictures

check: .venv/installed $(TOOLS)  ## formatting, lint, types, the import contracts
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/lint-imports && $(BIN)/mypy && tests/browser/node_modules/.bin/tsc --project web

fmt: .venv/installed  ## format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

schema: .venv/installed  ## write docs/openapi.json and docs/asyncapi.json from the models
	$(BIN)/python -m hub schema docs

lock: .venv/installed  ## choose new versions for constraints.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --all-extras --group test --output-file constraints.txt pyproject.toml

bench: .venv/installed  ## measure speed and memory; the table is in bench/README.md
	$(BIN)/python -m bench

clean:  ## remove what the other targets made, the data in ./var excepted
	rm -rf .venv tests/browser/node_modules screenshots .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache bench/build dist
