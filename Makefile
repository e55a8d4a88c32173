# Everything a newcomer needs. Each target does its own set-up in .venv from requirements.lock.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RESOLVE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet
COMPILE := $(RESOLVE) pyproject.toml
# semgrep clashes with what Pizzeria needs, so it lives alone; it sends nothing, and asks nobody for rules or versions.
SEMGREP_VENV := $(VENV)/semgrep
SEMGREP := SEMGREP_SEND_METRICS=off SEMGREP_ENABLE_VERSION_CHECK=0 SEMGREP_SETTINGS_FILE=$(SEMGREP_VENV)/settings.yml \
	SEMGREP_LOG_FILE=$(SEMGREP_VENV)/semgrep.log $(SEMGREP_VENV)/bin/semgrep scan --config .semgrep/rules.yml --quiet
# What each kind of place needs to serve; see pizzeria.shipment.locks.
LOCKS := serve serve-postgresql serve-parquet monitor lambda azure-function google-function

.PHONY: help install demo test torture mutants check audit fix licences lock schema clean

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: $(STAMP) ## Set up .venv alone

demo: $(STAMP) ## The whole cycle on generated listings, to a live service and its report
	@$(BIN)/pizzeria demo

test: $(STAMP) ## All tests, two files at a time, the long ones first
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

torture: $(STAMP) ## The short `pizzeria torture`: kills, full disks, changed bytes, hostile specs ...
	@$(BIN)/pizzeria torture --short

mutants: $(STAMP) ## How many faults, planted where things are decided, the tests find: 85 % or more
	@$(BIN)/python tests/mutation/measure.py

check: $(STAMP) audit ## ruff, mypy --strict on engine/, import-linter, and the audit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

audit: $(STAMP) $(SEMGREP_VENV)/.installed ## bandit and semgrep, on the rules of .semgrep/ alone: no network
	$(BIN)/bandit -q -c pyproject.toml -r engine plugins
	$(SEMGREP) --test .semgrep/rules.py
	$(SEMGREP) --error engine plugins

fix: $(STAMP) ## Let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: $(STAMP) ## Write conf/spec.schema.json and docs/spec.md from the models
	$(BIN)/pizzeria schema --out conf/spec.schema.json
	$(BIN)/pizzeria schema --markdown --out docs/spec.md

licences: $(STAMP) ## Write the licences of the shipped locks anew, as the installed packages say them
	$(BIN)/python -m pizzeria.sbom.licences

lock: ## Resolve the dependencies of pyproject.toml anew (needs uv); then make licences
	$(COMPILE) --all-extras --output-file requirements.lock
	$(RESOLVE) .semgrep/requirements.in --output-file .semgrep/requirements.lock
	@for lock in $(LOCKS); do \
		extras=$$(echo $$lock | sed -e 's/^monitor$$/monitor --extra report --extra cycle --extra alerts --extra postgresql --extra parquet/' -e 's/^serve-/serve --extra /'); \
		$(COMPILE) --constraint requirements.lock --extra $$extras --output-file engine/pizzeria/shipment/locks/$$lock.txt; \
	done

clean: ## Remove .venv and caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(SEMGREP_VENV)/.installed: .semgrep/requirements.lock | $(BIN)/python
	@$(BIN)/python -m venv $(SEMGREP_VENV)
	@$(SEMGREP_VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r .semgrep/requirements.lock
	@touch $@

$(STAMP): $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.locked: requirements.lock | $(BIN)/python
	@echo "Installing requirements.lock into $(VENV); a few minutes and 8 GB the first time."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

$(BIN)/python:
	@python=$$(for name in python3.11 python3.12 python3 python; do \
		$$name -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
			&& command -v $$name && break; \
	done); \
	if [ -z "$$python" ]; then \
		echo "Pizzeria needs Python 3.11 or 3.12 with venv, and found neither on the PATH."; \
		echo "Install one (Debian: apt-get install python3.11 python3.11-venv), then run make again."; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$python"; \
	"$$python" -m venv $(VENV)
