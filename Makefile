.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python
# A browser started from a checkout must not write into it.
export PYTHONDONTWRITEBYTECODE ?= 1
export RECIO_PYTHON

##@ Use

.PHONY: run
run: install ui ## Install what is missing, start everything in paper mode, print the URL (ARGS="--fresh")
	@exec .venv/bin/recio up $(ARGS)

.PHONY: install
install: ## Make .venv from requirements.lock (nothing to do if it is there)
	@tools/install.sh run

.PHONY: ui
ui: install ## Build the web page into the Python package
	@if [ -n "$$(find ui -path ui/node_modules -prune -o -type f -newer $(PAGE) -print 2>&1)" ]; then \
		echo "==> Web page"; ui/build.sh && touch $(PAGE); fi
PAGE = services/recio/apps/main_app/static/index.html.gz

##@ Work on it

.PHONY: dev
dev: ## Make .venv from requirements-dev.lock
	@tools/install.sh dev

.PHONY: test
test: dev ui sdk $(if $(T),,programs) ## Run all tests (T=tests/unit for a part, ARGS="-k name")
	@echo "==> Tests"
	@$(PYTHON) -m pytest $(or $(T),tests) -q --durations=10 $(ARGS)
	@if [ -n "$(T)" ]; then exit 0; fi; \
	if [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then \
		echo "PostgreSQL 15 is not installed (make apt): its tests are left out"; exit 0; fi; \
	echo "==> Money, schema and grants again, on PostgreSQL 15"; \
	$(PYTHON) -m pytest $(ON_POSTGRES) -q --postgres-version 15 $(ARGS)
ON_POSTGRES = tests/integration/adapters tests/integration/test_grants.py \
	tests/integration/runtime/test_preparing.py \
	$(foreach part,schema access config leases gate facts fold status,tests/integration/money/test_$(part).py)

.PHONY: simulate
simulate: dev ## Play 300 fixed hours under faults, and 100 that follow from this commit
	@echo "==> Simulated hours: 1 to 300"
	@.venv/bin/recio simulate --seeds 300 $(ARGS)
	@echo "==> Simulated hours: 100 from $(OWN_SEED)"
	@.venv/bin/recio simulate --seeds 100 --first-seed $(OWN_SEED) $(ARGS) || echo \
		"FOUND by chance, perhaps older than this commit: shrink it, mend it, keep it as a test"
OWN_SEED = $(shell printf '%d' 0x$$(git rev-parse --short=7 HEAD 2>&1 | grep -x '[0-9a-f]*' || echo 1))
# The last hundred search; what they find is told, not blamed on the commit that happened to draw it.

.PHONY: programs
programs: dev ## Build the API server, helm and what else tests run on (once: 8 minutes on 2 cores)
	@if command -v go >/dev/null; then $(PYTHON) -m tests.e2e.cluster binaries $(PROGRAMS); \
	else echo "Go 1.26 is not installed: tests on a real API server and of the chart are left out"; fi
PROGRAMS = etcd kube-apiserver kube-controller-manager kubectl helm kubeconform netpol-analyzer
# In CI nothing is left out: there the tests fail and say so.
ifeq ($(CI)$(shell command -v go),)
export RECIO_NO_APISERVER = 1
endif

.PHONY: sdk
sdk: dev ## Install the exchange's official client, which the contract tests run against ours
	@$(PYTHON) tests/contract/install.py

.PHONY: check
check: dev ## Check format, lint, types, import contracts and rendered files
	@echo "==> Format"
	@.venv/bin/ruff format --check --quiet . || { echo "mend it: make format"; exit 1; }
	@echo "==> Lint"
	@.venv/bin/ruff check --quiet .
	@echo "==> Types"
	@.venv/bin/mypy
	@echo "==> Import contracts"
	@.venv/bin/lint-imports --no-cache
	@echo "==> Rendered files"
	@$(PYTHON) -m docs.render --check

.PHONY: format
format: dev ## Format the code and mend what the linter can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.PHONY: render
render: dev ## Write what follows from the code: parts of docs/, custom resource definitions
	@$(PYTHON) -m docs.render

.PHONY: bench
bench: dev ui ## Run a benchmark of docs/performance.md (B=name, ARGS=…; without B: their names)
	@$(PYTHON) -m benchmarks $(B) $(ARGS)

.PHONY: fuzz mutation
fuzz: dev ## Feed every decoder hostile inputs and count (N=10000000, ARGS="--only kraken")
	@$(PYTHON) -m tests.fuzz --inputs $(or $(N),1000000) $(ARGS)
mutation: dev ## Change the core line by line; count what no unit test notices (M=domain/risk)
	@$(PYTHON) -m tests.mutation $(M) $(ARGS)

##@ Kubernetes

.PHONY: image
image: ## Build the container image and look at it from inside (ARGS="--archive FILE")
	@images/build.sh $(ARGS)
	@images/smoke.sh

.PHONY: e2e e2e-all
e2e: dev ## On a real cluster: install, trade, halt, kill, upgrade, delete
	@tests/e2e/run.sh core $(ARGS)
e2e-all: dev ## The same and everything else that a user sees: outages, backups, the browser
	@tests/e2e/run.sh all $(ARGS)

.PHONY: cluster-up cluster-down
cluster-up: dev ## Boot a single-node cluster from source packages (the first time 20 minutes)
	@$(PYTHON) -m tests.e2e.cluster up $(ARGS)
cluster-down: dev ## End it; what was built stays in the cache
	@$(PYTHON) -m tests.e2e.cluster down

##@ Maintain

.PHONY: apt
apt: ## Install the Debian packages that tests need, if they are missing
	@tools/apt.sh

.PHONY: apt-cluster
apt-cluster: ## Install those that the cluster from source packages needs
	@tools/apt.sh cluster

.PHONY: lock
lock: dev ## Resolve pyproject.toml anew into the lock files (UPGRADE=1 for newer versions)
	@.venv/bin/uv pip compile --quiet $(LOCK_OPTIONS) --all-extras -o requirements-dev.lock pyproject.toml
	@.venv/bin/uv pip compile --quiet $(LOCK_OPTIONS) --extra local --extra research -o requirements.lock pyproject.toml
	@.venv/bin/uv pip compile --quiet $(LOCK_OPTIONS) -c requirements-dev.lock --extra operator \
		-o requirements-image.lock pyproject.toml
	@.venv/bin/uv pip compile --quiet $(LOCK_OPTIONS) -c requirements-dev.lock --group build \
		-o requirements-build.lock
LOCK_OPTIONS = --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove what was built and installed; the paper account's data stays
	rm -rf .venv ui/node_modules tests/contract/typescript/node_modules
	rm -rf services/recio/apps/main_app/static
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
