# Everything a clone needs: `make demo` and `make test` set themselves up with Python 3.11+, make and git alone.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:

VENV   := .venv
BIN    := $(VENV)/bin
LOCKED := $(VENV)/.locked
STAMP  := $(VENV)/.installed
ENVIRONMENTS := $(patsubst %,.venv-%/.locked,mlflow3 mlflow2 dvc serving)
CODE   := src tests bench docs examples scripts .ci
ARGS   ?=
# What sends SQL; the rest of these folders would only prove again what it has proven on SQLite.
ON_POSTGRES := $(addprefix tests/,governance loop/test_controller.py monitoring/test_alarms.py datasets/test_ingest.py \
	journeys/test_replicas.py journeys/test_storm.py) $(filter-out %/test_paths.py,$(wildcard $(addprefix tests/, \
	storage/test_*.py registry/test_*.py tracking/test_*.py tracking/*/test_*.py */test_service.py)))
# More than a small machine has cores: tests wait for the processes that they start.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
UV     ?= uv

# Without bytecode on disk every process would compile scikit-learn anew: ten seconds instead of two.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME
export DO_NOT_TRACK := 1
export ORT_DISABLE_TELEMETRY := 1
export RAY_USAGE_STATS_ENABLED := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup environments demo test test-hostile test-slow test-postgres test-all test-browser test-mlflow \
	test-mlflow2 test-mlflow3 test-dvc test-serving format check docs bench lock clean

help: ## what can be made here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

setup: $(STAMP) ## a virtual environment in .venv with locked, hashed dependencies

environments: setup $(ENVIRONMENTS) ## that, and one for each other tool whose clients are tested; `make -j2` makes two at once

$(LOCKED): requirements/dev.lock .ci/find_python
	@[ ! -L $(VENV) ] || { echo "$(VENV) is a link, and what it leads to would be emptied: remove it"; exit 1; }
	@python=$$(.ci/find_python)
	@echo "setting up $(VENV) with $$($$python --version); this takes some minutes, once"
	@$$python -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@touch $(LOCKED)

$(STAMP): $(LOCKED) pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src || true
	@touch $(STAMP)

demo: $(STAMP) ## a model's whole life in minutes: a shop's suggestions, released, watched, retrained
	@$(BIN)/penstock demo $(ARGS)

test: $(STAMP) ## all tests but the slow ones, those in a browser and those that need PostgreSQL
	@$(PYTEST) -m "not browser and not slow and not postgres" $(ARGS)

test-hostile: $(STAMP) ## every hostile value in every field, every role at every operation; the other tests try a few
	@$(PYTEST) -m sampled --thorough tests/hostile tests/server/test_access.py $(ARGS)

test-slow: $(STAMP) ## the slow ones: a whole story, storms of kills, a full disk, a whole demo
	@$(PYTEST) -m "slow and not browser and not postgres" $(ARGS)

test-postgres: $(STAMP) ## all that keeps state, on PostgreSQL; and several servers on one database
	@$(PYTEST) --database postgres -m "not browser and (postgres or not slow)" $(ON_POSTGRES) $(ARGS)

test-browser: $(STAMP) ## the pages in a real Chromium
	@$(BIN)/python -m pytest -m browser $(ARGS)

# An environment for each other tool: what it pins has no say in ours. What is never imported is never compiled.
.venv-%/.locked: requirements/%.lock .ci/find_python
	@python=$$(.ci/find_python)
	@echo "setting up .venv-$* with $$($$python --version); this takes a minute or two, once"
	@$$python -m venv --clear .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements/$*.lock
	@touch $@

test-mlflow: test-mlflow3 test-mlflow2 ## unmodified MLflow clients, of the line 3 and 2, against our server; `make -j2` runs both at once

test-mlflow3 test-mlflow2: test-mlflow%: $(STAMP) .venv-mlflow%/.locked
	@PENSTOCK_PYTHON=$(CURDIR)/$(BIN)/python .venv-mlflow$*/bin/python -m pytest \
		-c tests/mlflow_clients/pytest.ini tests/mlflow_clients $(ARGS)

test-dvc: $(STAMP) .venv-dvc/.locked ## an unmodified DVC checks out and pulls what we export, and we read what it made
	@PENSTOCK_DVC=$(CURDIR)/.venv-dvc/bin/dvc $(BIN)/python -m pytest tests/datasets/dvc $(ARGS)

test-serving: $(STAMP) .venv-serving/.locked ## unmodified clients of Triton, KServe and the signing layout, against what we serve and sign
	@PENSTOCK_PYTHON=$(CURDIR)/$(BIN)/python .venv-serving/bin/python -m pytest \
		-c tests/serving_clients/pytest.ini tests/serving_clients $(ARGS)

test-all: $(STAMP) ## every test that needs no other environment
	@$(PYTEST) --thorough $(ARGS)
	@$(MAKE) test-postgres

format: $(STAMP) ## bring the code into its form
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

check: $(STAMP) ## form, types, the ladder of imports, locks, and what must not stand in a public repository
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python .ci/check_locks.py
	@$(BIN)/python .ci/check_tracked_files.py

docs: $(STAMP) ## bring the reference up to date, and see that the pages are whole
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m pytest tests/docs $(ARGS)

bench: $(STAMP) ## the figures behind the claims of speed
	@for script in bench/*.py; do $(BIN)/python $$script $(ARGS); done

lock: ## resolve the dependencies anew (needs uv and a package index)
	@compile() { $(UV) pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml "$$@"; }
	@compile --output-file requirements/base.lock
	@compile --extra dev --constraint requirements/base.lock --output-file requirements/dev.lock
	@for tool in mlflow3 mlflow2 dvc serving; do
		$(UV) pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
			--no-emit-find-links --custom-compile-command "make lock" requirements/$$tool.in \
			--output-file requirements/$$tool.lock
	done

clean: ## remove what was built here; projects and their .penstock folders stay
	@rm -rf $(VENV) .venv-mlflow2 .venv-mlflow3 .venv-dvc .venv-serving dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} +
