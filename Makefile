# Everything here sets itself up: Python >= 3.11 and make are all that a machine needs.
# `make` alone lists the targets. ARGS passes arguments on: make test ARGS="-k revision -x"

PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$candidate; break; fi; done)
UV ?= $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin
READY := .venv/.ready
# One more than cores: some tests wait.
WORKERS ?= 3
ARGS ?=

# One environment for everything, made once per change of the lock. The state of `make run` lives in .run.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS ?= true
export WSAUTHZ_DATABASE_URL ?= sqlite:///./.run/wsauthz.db
export WSAUTHZ_POLICY ?= policies/dam
# Compiled once, not by every server that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install run test soak faults check lint types architecture dependencies proto proto-check docs docs-check requirements format bench e2e audit lock clean

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the product ------------------------------------------------------------------------------------------------------

run: $(READY) ## Serve an example: migrate, import examples/dam.yaml, serve
	@mkdir -p .run
	@$(BIN)/wsauthz db upgrade
	@$(BIN)/wsauthz import examples/dam.yaml
	@echo
	@echo 'Who is who is told at the top of examples/dam.yaml. Try, in another terminal:'
	@echo '  $(BIN)/wsauthz check ann north-press dam:asset delete --trace'
	@echo '  $(BIN)/wsauthz check cleo south-shop dam:asset update'
	@echo '  $(BIN)/wsauthz explain dan north analytics:report read'
	@echo 'What works on the database itself (import, export, platform, db) must be told which one it is:'
	@echo '  export WSAUTHZ_DATABASE_URL=$(WSAUTHZ_DATABASE_URL) WSAUTHZ_POLICY=$(WSAUTHZ_POLICY)'
	@echo
	@exec $(BIN)/wsauthz serve

# --- checks -----------------------------------------------------------------------------------------------------------

check: lint types architecture dependencies proto-check docs-check test ## Everything CI runs; the tests come last

test: $(READY) ## Run the tests (SQLite and PostgreSQL; no server or container needed)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

soak: $(READY) ## Run the long form of the long checks as well: hours; WSAUTHZ_SOAK_MINUTES (60) is that of mixed load
	@$(BIN)/pytest --soak $(ARGS)
	@$(BIN)/pytest --transport native tests/rpc $(ARGS)

faults: $(READY) ## Take the database, the notifications and the servers away for longer, and print what was seen; needs PgBouncer
	@$(BIN)/pytest tests/faults --faults $(ARGS)

lint: $(READY) ## Style and mistakes (ruff)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet

types: $(READY) ## Types (mypy, strict)
	@$(BIN)/mypy

architecture: $(READY) ## Who may import whom (import-linter)
	@$(BIN)/lint-imports --no-logo

dependencies: $(READY) ## Declared dependencies against imported ones (deptry)
	@$(BIN)/deptry src

proto-check: $(READY) ## The contract: buf lint, and the generated code against proto/
	@$(BIN)/python tools/proto.py check

docs-check: $(READY) ## Generated pages of docs/ against the code
	@$(BIN)/python tools/errors_page.py check
	@$(BIN)/python -m tools.requirements_page check
	@$(BIN)/python tools/walkthroughs.py check

audit: $(READY) ## Known vulnerabilities in the locked dependencies; asks an online service
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements/runtime.txt
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements/dev.txt

# --- work -------------------------------------------------------------------------------------------------------------

install: $(READY) ## Make the environment in .venv, without doing anything else

proto: $(READY) ## Generate src/wsauthz/v1 from proto/
	@$(BIN)/python tools/proto.py generate

docs: $(READY) ## Generate the generated pages of docs/
	@$(BIN)/python tools/errors_page.py
	@$(BIN)/python -m tools.requirements_page
	@$(BIN)/python tools/walkthroughs.py

requirements: $(READY) ## Print which RPC and which test stands for each requirement
	@$(BIN)/python -m tools.requirements_page print

format: $(READY) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

bench: $(READY) ## Run the benchmarks
	@$(BIN)/python -m bench $(ARGS)

e2e: $(READY) ## Try it with foreign clients and proxies; names what it needs and lacks
	@$(BIN)/pytest e2e $(ARGS)

lock: $(UV) ## Renew requirements/*.txt; ARGS=--upgrade takes newer versions
	@$(UV) pip compile $(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	@$(UV) pip compile $(COMPILE) pyproject.toml --group dev --constraints requirements/runtime.txt --output-file requirements/dev.txt
	@echo pygrpc-native | $(UV) pip compile $(COMPILE) - --constraints requirements/dev.txt --output-file requirements/native.txt
	@echo hatchling | $(UV) pip compile $(COMPILE) - --constraints requirements/dev.txt --output-file requirements/build.txt
	@echo uv | $(UV) pip compile $(COMPILE) - --output-file requirements/uv.txt

COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' $(ARGS)

clean: ## Remove everything that make has made, the environment and the state of `make run` too
	@rm -rf .venv .uv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache dist
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# --- the environment --------------------------------------------------------------------------------------------------

$(READY): requirements/dev.txt pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.uv/bin/uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo 'wsauthz needs Python 3.11 or newer; make PYTHON=/path/to/python3 names one' >&2; exit 1; }
	@$(PYTHON) -m venv --clear .uv || { echo 'this Python cannot make environments: install its venv package (python3-venv), or uv' >&2; exit 1; }
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@touch $@
