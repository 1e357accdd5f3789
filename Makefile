# One door: `make` lists what there is. Every target that builds needs `setup`, which is silent when nothing is missing.

.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo
# Where the testbed puts kubectl, on a machine that has none.
export PATH := $(PATH):$(or $(ETCD_TESTBED_DIR),/var/lib/etcd-testbed)/bin

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what builds and the testbed need (Debian packages, the musl target)
	@tests/setup.sh

# ---- the testbed: a real Kubernetes on this machine (tests/testbed/README.md)

OUT = $(or $(CARGO_TARGET_DIR),target)
export NODES ?= 3
TESTBED = $(OUT)/debug/testbed

.PHONY: testbed-program
testbed-program: setup
	@$(CARGO) build -p etcd-tests --bin testbed

.PHONY: testbed-up
testbed-up: testbed-program ## boot it, unless it runs (NODES=3)
	@$(TESTBED) up --nodes $(NODES)

.PHONY: testbed-down
testbed-down: testbed-program ## remove it, or what is left of it
	@$(TESTBED) down

.PHONY: testbed-status
testbed-status: testbed-program ## say what runs
	@$(TESTBED) status

.PHONY: testbed-check
testbed-check: testbed-program ## boot it if needed and try every part of it, faults included
	@$(TESTBED) check

# ---- the operator (manifests/README.md)

MUSL = $(shell uname -m)-unknown-linux-musl
RELEASE = $(OUT)/$(MUSL)/release
COORDINATOR = $(CARGO) run --quiet -p etcd-coordinator --
CHART = manifests/charts/etcd-operator
KUBECONFIG ?= /var/lib/etcd-testbed/pki/admin.kubeconfig
KUBECTL = KUBECONFIG=$(KUBECONFIG) kubectl

.PHONY: crds
crds: setup ## generate manifests/crds/, manifests/install.yaml and what the chart has of manifests/
	@mkdir -p manifests/crds/without-cel
	@$(COORDINATOR) crds > manifests/crds/etcd.etcd.io.yaml
	@$(COORDINATOR) crds --without-cel > manifests/crds/without-cel/etcd.etcd.io.yaml
	@(cat manifests/crds/etcd.etcd.io.yaml; echo ---; cat manifests/operator.yaml) > manifests/install.yaml
	@cp manifests/crds/etcd.etcd.io.yaml $(CHART)/kinds/
	@cp manifests/monitoring/rules.yaml manifests/monitoring/dashboard.json $(CHART)/monitoring/

.PHONY: reference
reference: setup ## generate the pages of manifests/docs/reference: every field, command and metric
	@$(CARGO) build --quiet -p etcd-docs -p etcd-agent -p etcd-coordinator -p kubectl-etcd
	@$(OUT)/debug/docs $(OUT)/debug

.PHONY: programs
programs: setup
	@$(CARGO) build --release --target $(MUSL) -p etcd-agent -p etcd-coordinator

.PHONY: plugin
plugin: setup ## build kubectl-etcd, one static program: put it on your PATH, and `kubectl etcd` is there
	@$(CARGO) build --release --target $(MUSL) -p kubectl-etcd
	@echo "$(abspath $(RELEASE))/kubectl-etcd"

.PHONY: images
images: programs ## build the images of agent and coordinator as archives in target/images
	@images/build.sh agent $(RELEASE)/etcd-agent $(OUT)/images
	@images/build.sh coordinator $(RELEASE)/etcd-coordinator $(OUT)/images

.PHONY: install
install: ## create the kinds in the cluster of KUBECONFIG (the testbed)
	@$(KUBECTL) apply --server-side -f manifests/crds/etcd.etcd.io.yaml

.PHONY: run
run: install ## run the coordinator here, outside the cluster
	@$(COORDINATOR) --kubeconfig $(KUBECONFIG) --listen 127.0.0.1:8080

.PHONY: deploy
deploy: images testbed-program ## load the images into the testbed and install the operator in it
	@$(TESTBED) load $(OUT)/images/agent.tar $(OUT)/images/coordinator.tar
	@$(KUBECTL) apply --server-side -f manifests/install.yaml
	@$(KUBECTL) -n etcd-operator-system rollout status deployment/etcd-coordinator --timeout=60s

.PHONY: undeploy
undeploy: ## remove the operator; clusters go on without it, and the kinds stay
	@$(KUBECTL) delete --ignore-not-found -f manifests/operator.yaml

# ---- the operator's chart (manifests/charts/etcd-operator/README.md)

HELM = $(OUT)/debug/steps helm

.PHONY: helm
helm: setup ## build the real Helm 4, once a machine (then: target/debug/steps helm …)
	@$(CARGO) build --quiet -p etcd-steps
	@$(HELM) version

.PHONY: chart
chart: helm ## lint the chart, render it, pack it into target/charts, and test it without a cluster
	@mkdir -p $(OUT)/charts
	@$(HELM) lint --strict $(CHART)
	@$(HELM) template etcd-operator $(CHART) --namespace etcd-operator-system >$(OUT)/charts/etcd-operator.yaml
	@$(HELM) package $(CHART) --destination $(OUT)/charts
	@$(CARGO) test -p etcd-tests --test chart

# ---- the alerts (manifests/monitoring/README.md)

.PHONY: alerts
alerts: setup ## test the alerts and their runbooks with Debian's promtool, without a cluster
	@$(CARGO) test -p etcd-tests --test monitoring

# The answers of a real Prometheus on a real cluster, drawn in Debian's Chromium.
.PHONY: picture
picture: ## draw the picture of the dashboard anew (needs Debian's chromium)
	@E2E_PICTURE=$(abspath $(OUT))/dashboard-answers.json $(MAKE) --no-print-directory e2e WHAT=prometheus
	@tests/monitoring/picture.sh $(OUT)/dashboard-answers.json

# ---- the main job, and the tests

# A small program shows what these two do (tests/steps/README.md); what builds and tests are the targets of this file.
STEPS = $(CARGO) build -p etcd-steps && $(OUT)/debug/steps

.PHONY: demo
demo: setup ## do all set-up and bring up a cluster of three
	@$(STEPS) demo

.PHONY: down
down: testbed-down ## remove what demo booted

.PHONY: test
test: setup ## do all set-up and pass every test
	@$(STEPS) test

.PHONY: fresh
fresh: ## do both as on a new machine: the committed tree cloned anew, empty home and caches (an hour and more)
	@tests/fresh.sh

.PHONY: lint
lint: setup ## check format and lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@test -z "$$(gofmt -l tests/client)" || { gofmt -d tests/client; exit 1; }
	@cd tests/client && go vet ./...

.PHONY: audit
audit: setup ## check licences, sources and duplicates of dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null || $(CARGO) install --quiet --locked cargo-deny
	@$(CARGO) deny --config .deny.toml check bans licenses sources

UNIT = -p etcd-operator-shared -p etcd-agent -p etcd-coordinator -p kubectl-etcd -p etcd-model -p etcd-steps -p etcd-docs

.PHONY: unit
unit: setup ## test everything that needs no cluster
	@$(CARGO) test $(UNIT)
	@$(CARGO) test -p etcd-tests --lib --test chart --test monitoring
	@cd tests/client && go test ./...

# A change at every place where a decision could be wrong, one at a time; a mutant that no test notices is a test that is
# missing. Two thousand take a day on two cores: SHARD=0/40 is every fortieth.
SHARD ?= 0/1

.PHONY: mutants
mutants: setup ## see whether the tests notice mistakes in the decisions (SHARD=0/40 tries every fortieth; installs cargo-mutants)
	@command -v cargo-mutants >/dev/null || $(CARGO) install --quiet --locked cargo-mutants
	@$(CARGO) mutants --shard $(SHARD) --sharding round-robin --output $(OUT)

# All that tests run, built before the first of them does. The program of kubectl etcd is built with its own tests, and the
# e2e tests find it beside themselves.
.PHONY: test-programs
test-programs: setup
	@$(CARGO) test --no-run $(UNIT)
	@$(CARGO) test --no-run -p etcd-tests --lib --test api --test chart --test monitoring --test e2e

BOUND ?= nightly

.PHONY: model
model: setup ## visit every state of the membership within a bound (BOUND=short or five, WHAT=name)
	@$(CARGO) run --quiet -p etcd-model $(if $(filter five,$(BOUND)),--features five) -- $(BOUND) "$(WHAT)"

.PHONY: api
api: setup testbed-program ## test the kinds against a real API server
	@tests/with-testbed.sh $(OUT)/debug/testbed $(MAKE) --no-print-directory api-only

.PHONY: api-only
api-only:
	@$(CARGO) test -p etcd-tests --test api

.PHONY: plugin-program
plugin-program: setup
	@$(CARGO) build -p kubectl-etcd

.PHONY: e2e
e2e: images crash-image last-release-image testbed-program plugin-program ## test every promise on a real Kubernetes (WHAT=name narrows)
	@tests/with-testbed.sh $(OUT)/debug/testbed $(MAKE) --no-print-directory e2e-only

# Three run at a time (tests/e2e/harness/turn.rs); the others are those that wait until they may be alone.
THREADS = 16

.PHONY: e2e-only
e2e-only:
	@$(OUT)/debug/testbed load $(OUT)/images/*.tar
	@E2E_COORDINATOR=$(abspath $(RELEASE))/etcd-coordinator \
		$(CARGO) test -p etcd-tests --test e2e -- --nocapture --test-threads=$(THREADS) $(WHAT)

# A scenario at a time, each for minutes: WHAT=life::kills narrows, E2E_SEED=n repeats what was decided at random.
.PHONY: chaos
chaos: images crash-image last-release-image testbed-program ## try membership for life with the full numbers: half an hour (WHAT=name narrows)
	@E2E_FULL=1 tests/with-testbed.sh $(OUT)/debug/testbed $(MAKE) --no-print-directory e2e-only WHAT=$(or $(WHAT),life::)

.PHONY: bench
bench: images testbed-program ## print figures beside a bare StatefulSet (WHAT=name narrows, RUNS=7)
	@$(CARGO) build -p etcd-tests --bin bench
	@tests/with-testbed.sh $(OUT)/debug/testbed $(MAKE) --no-print-directory bench-only

.PHONY: bench-only
bench-only:
	@$(OUT)/debug/testbed load $(OUT)/images/agent.tar
	@$(KUBECTL) apply --server-side --force-conflicts -f manifests/crds/etcd.etcd.io.yaml >/dev/null
	@BENCH_COORDINATOR=$(abspath $(RELEASE))/etcd-coordinator WHAT=$(WHAT) $(OUT)/debug/bench

# An agent that dies once at every point between two side effects (agent/src/crash.rs). A folder of its own: the program
# that is shipped is never built with these points.
.PHONY: crash-image
crash-image: setup
	@$(CARGO) build --target $(MUSL) -p etcd-agent --features crash-points
	@images/build.sh agent $(OUT)/$(MUSL)/debug/etcd-agent $(OUT)/images crash

# The agent of the last release, to be tried beside today's: built once a machine, out of the commit in images/last-release.
.PHONY: last-release-image
last-release-image: setup
	@images/last-release.sh $(OUT)/images
