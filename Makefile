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

# ---- the operator (manifests/README.md)

OUT = $(or $(CARGO_TARGET_DIR),target)
MUSL = $(shell uname -m)-unknown-linux-musl
COORDINATOR = $(CARGO) run --quiet -p etcd-coordinator --
KUBECONFIG ?= /var/lib/etcd-testbed/pki/admin.kubeconfig
KUBECTL = KUBECONFIG=$(KUBECONFIG) kubectl

.PHONY: crds
crds: setup ## generate manifests/crds/ and manifests/install.yaml
	@mkdir -p manifests/crds/without-cel
	@$(COORDINATOR) crds > manifests/crds/etcd.etcd.io.yaml
	@$(COORDINATOR) crds --without-cel > manifests/crds/without-cel/etcd.etcd.io.yaml
	@(cat manifests/crds/etcd.etcd.io.yaml; echo ---; cat manifests/operator.yaml) > manifests/install.yaml

.PHONY: images
images: setup ## build the images of agent and coordinator as archives in target/images
	@$(CARGO) build --release --target $(MUSL) -p etcd-agent -p etcd-coordinator
	@images/build.sh agent $(OUT)/$(MUSL)/release/etcd-agent $(OUT)/images
	@images/build.sh coordinator $(OUT)/$(MUSL)/release/etcd-coordinator $(OUT)/images

.PHONY: install
install: ## create the kinds in the cluster of KUBECONFIG (the testbed)
	@$(KUBECTL) apply --server-side -f manifests/crds/etcd.etcd.io.yaml

.PHONY: run
run: install ## run the coordinator here, outside the cluster
	@$(COORDINATOR) --kubeconfig $(KUBECONFIG) --listen 127.0.0.1:8080

.PHONY: deploy
deploy: images ## load the images into the testbed and install the operator in it
	@$(TESTBED) load $(OUT)/images/agent.tar $(OUT)/images/coordinator.tar
	@$(KUBECTL) apply --server-side -f manifests/install.yaml
	@$(KUBECTL) -n etcd-operator-system rollout status deployment/etcd-coordinator --timeout=60s

.PHONY: undeploy
undeploy: ## remove the operator; clusters go on without it, and the kinds stay
	@$(KUBECTL) delete --ignore-not-found -f manifests/operator.yaml

.PHONY: api
api: setup ## test the kinds against a real API server
	@$(CARGO) test -p etcd-tests --test api
