# Everything runs in .venv, which the first target that needs it makes: Python 3.11 or newer and make are enough.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy
# Both workers of the tests, and the commands that tests start, would compile all files anew.
unexport PYTHONDONTWRITEBYTECODE
# Two BLAS pools on two cores spend their time waiting for each other.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-nightly test-all lint format docs bench structure install pins clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install ## Show the sample store: a real Elasticsearch, a training, personal answers
	@$(BIN)/es-recsys demo

# Two workers share one Elasticsearch; what takes minutes, kills processes or fills disks runs by itself.
test: install ## Run the default tests
	$(BIN)/pytest -m "not long and not nightly" --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 40

test-long: install ## Run the tests that take minutes, kill processes or fill disks
	$(BIN)/pytest -m long

test-nightly: install ## Measure the headline figures on the data sets in ES_RECSYS_DATA
	$(BIN)/pytest -m nightly

test-all: test test-long ## Run all tests

lint: install ## Check style, types, imports and dead code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture

format: install ## Mend what can be mended of the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: install ## Build the documentation site into build/site; a dead link or a page without a place is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: install ## Measure speed against plain Elasticsearch
	$(BIN)/python scripts/benchmark.py

structure: install ## Draw docs/structure.svg from the imports
	$(BIN)/python scripts/draw_structure.py

install: $(STAMP) ## Make .venv and install all into it

$(STAMP): requirements.txt requirements-bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ...' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-bootstrap.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# Pins: after a change of pyproject.toml. No registry is named in what they write.
pins: ## Write the pins anew from pyproject.toml
	echo uv | $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	  - -o requirements-bootstrap.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --extra dev --group weights \
	  pyproject.toml -o requirements.txt

clean: ## Remove all that was made here
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
