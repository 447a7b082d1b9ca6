# make repro: the whole pipeline, from nothing to report/index.html and the table.
# make test:  linters, types and the whole test suite.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: repro test check clean
.DEFAULT_GOAL := repro

# torch first and by its exact version: what depends on it must not choose another build.
.venv/ready: requirements.txt requirements-dev.txt constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements.txt -r requirements-dev.txt
	touch $@

repro: .venv/ready
	$(BIN)/python -m stages.params
	@$(BIN)/python -c "from pipeline.instruction_set import is_held; exit(not is_held())" || { \
		echo "results have other bytes here than the repository's dvc.lock names: git leaves yours alone from here on"; \
		git update-index --skip-worktree dvc.lock; }
	$(BIN)/dvc repro
	@cat report/summary.txt

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest

clean:
	rm -rf .venv .cache resolved runs analysis compressed proofs verdicts report
