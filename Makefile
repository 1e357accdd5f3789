# One door: `make` lists what there is. Every target that builds needs `setup`, which is silent when nothing is missing.

.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what builds and the testbed need (Debian packages, the musl target)
	@tests/setup.sh

# ---- the testbed: a real Kubernetes on this machine (tests/testbed/README.md)

NODES ?= 3
TESTBED = $(CARGO) run --quiet -p etcd-tests --bin testbed --

.PHONY: testbed-up
testbed-up: setup ## boot it, unless it runs (NODES=3)
	@$(TESTBED) up --nodes $(NODES)

.PHONY: testbed-down
testbed-down: setup ## remove it, or what is left of it
	@$(TESTBED) down

.PHONY: testbed-status
testbed-status: setup ## say what runs
	@$(TESTBED) status

.PHONY: testbed-check
testbed-check: setup ## boot it if needed and try every part of it, faults included
	@$(TESTBED) check
