# Parley. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .parley/venv
NODE_VENV := .parley/node
# The venv's programs come first; node from PyPI only where the machine has none.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH):$(CURDIR)/$(NODE_VENV)/bin
PROTOS := $(shell find protos -name '*.proto')
WEB_SOURCES := $(shell find clients/web clients/react services/web package.json tsconfig.base.json -type f -not -name '*.py' -not -path '*/node_modules/*' -not -path '*/src/gen/*' -not -path '*/dist/*' 2>/dev/null)
NATIVE_SOURCES := $(wildcard services/sfu/*.py services/sfu/*/*.py services/sfu/*/*/*.py services/runtime/*.py services/runtime/*/*.py)
TYPED := $(wildcard services deploy loadtests clients/python/parley_client clients/python/examples tests/support tests/faults/checker tests/contract tests/conftest.py tests/run.py)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# ---- Set-up: each stamp is older than what it was made from, or it is made anew.

STEP := deploy/setup/step

$(VENV)/.stamp: requirements-dev.lock requirements-uv.lock
	@PYTHON=$(PYTHON) $(STEP) "Python packages" deploy/setup/python-packages $(VENV) requirements-dev.lock
	@touch $@

# Ours, editable: services, deploy, loadtests, tests, the client library and gen/ are on the path of this environment.
$(VENV)/.projects: $(VENV)/.stamp deploy/setup/projects pyproject.toml clients/python/pyproject.toml
	@$(STEP) "Parley's own packages" deploy/setup/projects $(VENV)
	@touch $@

gen/.stamp: $(VENV)/.stamp $(PROTOS) | $(VENV)/.projects
	@rm -rf gen && mkdir -p gen/parley
	@$(STEP) "protobuf code" python -m grpc_tools.protoc -I protos --python_out=gen --grpc_python_out=gen --mypy_out=quiet:gen --mypy_grpc_out=quiet:gen --descriptor_set_out=gen/parley/descriptors.pb --include_source_info --include_imports $(PROTOS)
	@touch $@

$(NODE_VENV)/.stamp: requirements-node.lock requirements-uv.lock $(VENV)/.stamp
	@rm -rf $(NODE_VENV) && mkdir -p $(NODE_VENV)
	@command -v npm >/dev/null || PYTHON=$(PYTHON) $(STEP) "node, from PyPI" deploy/setup/python-packages $(NODE_VENV) requirements-node.lock
	@touch $@

# Node from PyPI comes after the Python packages; a node of the machine's own waits for nothing.
NODE := $(if $(shell command -v npm),,$(NODE_VENV)/.stamp)

.parley/npm.stamp: package-lock.json package.json clients/web/package.json clients/react/package.json tests/support/react-18/package.json services/web/package.json $(NODE)
	@mkdir -p .parley
	@$(STEP) "web packages" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build/web.stamp: .parley/npm.stamp $(VENV)/.stamp $(PROTOS) $(WEB_SOURCES)
	@$(STEP) "web client" npm run --silent build
	@mkdir -p build && touch $@

build/native.stamp: $(VENV)/.projects deploy/native.py $(NATIVE_SOURCES)
	@$(STEP) "compiled media path" python -m deploy.native build/native
	@touch $@

.parley/kafka/.stamp: deploy/kafka/pom.xml deploy/setup/kafka
	@rm -rf .parley/kafka && mkdir -p .parley/kafka
	@$(STEP) "Apache Kafka" deploy/setup/kafka .parley/kafka
	@touch $@

DEMO_NEEDS := gen/.stamp .parley/kafka/.stamp
RUN_NEEDS := $(DEMO_NEEDS) build/web.stamp
ALL_NEEDS := $(RUN_NEEDS) build/native.stamp

# $(call together,STAMPS): what is not there yet is made side by side, and each step says which of how many it is.
together = @if ! $(MAKE) --no-print-directory -q $(1) >/dev/null 2>&1; then mkdir -p .parley && : >.parley/steps && \
	PARLEY_STEPS_FILE=.parley/steps PARLEY_STEPS=$$($(MAKE) --no-print-directory -n $(1) | grep -c '$(STEP) ') \
	$(MAKE) --no-print-directory -j4 $(1); fi

.PHONY: setup setup-run setup-demo gen native web kafka
setup: ## Install and generate what the other targets need
	$(call together,$(ALL_NEEDS))
setup-run:
	$(call together,$(RUN_NEEDS))
setup-demo:
	$(call together,$(DEMO_NEEDS))
gen: gen/.stamp ## Generate the protobuf code
native: build/native.stamp ## Compile the SFU's media path into build/native; without a C compiler it runs from its sources
web: build/web.stamp ## Build the web client into build/web
kafka: .parley/kafka/.stamp ## Bring Apache Kafka from Maven, where there is Java 17

# ---- Run

.PHONY: run demo load-messages load-routing load-devices load-calls-setup bench-idle bench-sfu bench-impaired bench-two
.PHONY: load-evening load-herd load-hot-group load-celebrity load-slow-consumers load-flood load-all
run: setup-run ## Start everything; Ctrl-C stops it
	@exec python -m deploy.embedded run

demo: setup-demo ## A message and a call between two headless clients; ends with one JSON line
	@exec python -m loadtests.demo

load-messages: gen/.stamp ## The message path under load; report in build/reports/messages.json
	@exec python -m loadtests.messages $(ARGS)

load-calls-setup: gen/.stamp ## Calls set up and torn down under load; report in build/reports/call_setup.json
	@exec python -m loadtests.calls_setup $(ARGS)

load-devices: gen/.stamp ## 10,000 idle devices on one gateway; report in build/reports/devices.json
	@exec python -m loadtests.devices $(ARGS)

load-routing: gen/.stamp ## Routing with 1 to 8 replicas, and with one killed; report in build/reports/routing.json
	@exec python -m loadtests.routing $(ARGS)

load-evening: gen/.stamp build/native.stamp ## Half an hour of people at a social network; report and page in build/reports/evening (38 min)
	@exec python -m loadtests.run evening $(ARGS)

load-herd: gen/.stamp ## 500 devices lose the edge at once; report in build/reports/reconnect-herd.json
	@exec python -m loadtests.run reconnect-herd $(ARGS)

load-hot-group load-celebrity load-slow-consumers load-flood: load-%: gen/.stamp
	@exec python -m loadtests.run $* $(ARGS)

load-all: gen/.stamp build/native.stamp ## All load tests in turn, and which of them held (90 min)
	@exec python -m loadtests.run all

bench-idle: setup ## What the stack takes while nothing happens, by process; report in build/reports/idle.json (2 min)
	@exec python -m loadtests.idle $(ARGS)

bench-sfu: gen/.stamp build/native.stamp ## The SFU under load: fan-out, voice calls, joins; report in build/reports/sfu.json
	@exec python -m loadtests.sfu $(ARGS)

bench-impaired: gen/.stamp build/native.stamp ## Two browsers in a call over bad networks; report in build/reports/impaired.json
	@exec python -m loadtests.impaired $(ARGS)

bench-two: gen/.stamp build/native.stamp ## A call of two in Chromium: what is sent, how soon a paused picture is back, lip sync; report in build/reports/call_of_two.json
	@exec python -m loadtests.call_of_two $(ARGS)

# ---- Check

.PHONY: test test-slow unit integration e2e lint format docs
test: setup ## All tests; ends with a table of passed, failed, left out
	@exec .ci/test

test-slow: setup ## All tests as on a machine a third as fast
	@exec .ci/slow .ci/test

unit: setup ## Tests without any server: Python's and the web client's
	python -m pytest tests/unit
	npm test

integration: setup ## Tests on the embedded stack, and kill -9 of each service
	python -m pytest tests/integration tests/faults

.PHONY: integration-tansu
integration-tansu: setup ## The tests of events and of kills once more, on the small broker of the Python packages
	PARLEY_BROKER=tansu python -m pytest tests/integration/runtime tests/integration/api tests/faults

.PHONY: faults faults-proof soak
faults: setup ## Fifteen minutes of faults that a fresh seed draws, and whether every promise was kept
	@exec python -m tests.faults.checker.run --seconds 900 $(ARGS)

faults-proof: setup ## The checker finds each of the bugs that are put into the services for it (25 min)
	@exec python -m tests.faults.checker.prove $(ARGS)

soak: setup ## 200 faults and 100,000 messages, by runs of which each is kept; the same again goes on. ARGS="--messages 1000"
	@exec python -m tests.faults.checker.soak $(ARGS)

e2e: setup ## A message and a call between two real browsers
	@.ci/chromium >/dev/null && .ci/firefox >/dev/null && exec python -m pytest tests/e2e

.PHONY: lint-rest lint-web
lint: lint-rest lint-web ## Style, types, protos, the edge's configuration, the documentation

# Not beside the web's tests, which generate anew what it reads.
lint-web: setup-run
	npm run --silent lint

lint-rest: setup-run
	ruff check .
	ruff format --check .
	mypy $(TYPED)
	buf lint
	.ci/buf-breaking
	python -m deploy.envoy.validate
	python -m deploy.docs.markdown --check
	python -m deploy.docs build/site

format: setup ## Bring Python and Markdown into the form that lint wants
	ruff check --fix .
	ruff format .
	python -m deploy.docs.markdown

docs: gen/.stamp ## Build the documentation into build/site; for its search: python -m http.server -d build/site
	python -m deploy.docs build/site

.PHONY: manifests
# CRDS: a file of `kubectl get crd -o yaml`, for what the operators of that cluster say.
manifests: gen/.stamp
	python -m deploy.k8s.check $(if $(CRDS),--crds $(CRDS))

.PHONY: k8s-check
k8s-check: manifests ## Render and check the Kubernetes manifests, the alerts and their tests; no cluster is needed
	python -m pytest -q tests/unit/deploy
	promtool=$$(.ci/promtool) && PARLEY_PROMTOOL=$$promtool python -m deploy.observability.check

.PHONY: helm
helm: gen/.stamp ## Make the Helm chart from the manifests, into build/helm/parley; needs kubectl, and no cluster
	python -m deploy.helm

.PHONY: drill-backup drill-broker-lost drill-region-lost
drill-backup: gen/.stamp ## PostgreSQL destroyed and restored from a base backup and WAL; one JSON line (20 s)
	python -m loadtests.drills backup
drill-broker-lost: gen/.stamp ## The broker loses everything under load; one JSON line (60 s)
	python -m loadtests.drills broker-lost
drill-region-lost: gen/.stamp ## A whole stack is killed, another takes over on a standby's data; one JSON line (50 s)
	python -m loadtests.drills region-lost

.PHONY: k8s-run
k8s-run: gen/.stamp ## The overlay dev in podman, the demo, each service replaced under load; asks for root, podman, buildah (8 min)
	deploy/k8s/podman/images
	python -m loadtests.rollout $(ARGS)

.PHONY: cluster-up cluster-images cluster-test cluster-down cluster-dry-run
# Kubernetes' programs are built once, into .parley/kube; PARLEY_KUBE_BIN names a folder that has them.
CLUSTER := deploy/cluster/packages && export PARLEY_KUBE_BIN && PARLEY_KUBE_BIN=$$(deploy/cluster/binaries kube-router) && deploy/cluster/build-images
cluster-up: gen/.stamp .parley/kafka/.stamp ## A real Kubernetes on this machine, the overlay dev on it; asks for root (the first time 30 min, then 5)
	@$(CLUSTER) && python -m deploy.cluster up $(ARGS)
cluster-images: gen/.stamp .parley/kafka/.stamp ## Bring what changed to the node of cluster-up; pods take it when they are replaced
	@$(CLUSTER) && python -m deploy.cluster images
cluster-test: gen/.stamp .parley/kafka/.stamp ## On it, or on one of its own: who reaches whom, each service replaced, drained, broken (15 min)
	@$(CLUSTER) && python -m deploy.cluster dry-run && python -m loadtests.cluster $(ARGS)
cluster-down: gen/.stamp ## Remove it; images and logs stay in .parley/cluster
	@python -m deploy.cluster down
cluster-dry-run: gen/.stamp ## What a real API server says of every overlay (20 s); left out where nobody built one
	@if [ $$(id -u) = 0 ] && PARLEY_KUBE_BIN=$$(deploy/cluster/binaries --api) && .ci/program etcd etcd-server etcd >/dev/null; \
	then PARLEY_KUBE_BIN=$$PARLEY_KUBE_BIN exec python -m deploy.cluster dry-run; \
	else echo "Left out: no API server was asked about the overlays. It needs root, etcd and deploy/cluster/binaries."; fi

.PHONY: observe-check
observe-check: gen/.stamp ## A real Prometheus over the stack: scrapes, rules, dashboards' data, alerts in a fault drill (2.5 min)
	promtool=$$(.ci/promtool) && PARLEY_PROMTOOL=$$promtool python -m loadtests.observe $(ARGS)

# ---- The Kotlin client: no part of setup, of the tests or of CI, since it asks for a JDK and Maven.

.PHONY: kotlin kotlin-contract
kotlin: ## Build the Kotlin client into build/kotlin; needs a JDK of Java 17 and Maven
	@deploy/setup/kotlin

# ARGS="--target http://127.0.0.1:8080": where Parley listens.
kotlin-contract: kotlin ## The contract of a client, with the Kotlin one, against a Parley that runs
	@exec $(PYTHON) -m tests.contract --driver "java -cp build/kotlin/classes:build/kotlin/jars/* parley.contract.DriverKt" $(ARGS)

# ---- Security

SECURITY := .parley/security
$(SECURITY)/.stamp: requirements-security.lock requirements-uv.lock
	@PYTHON=$(PYTHON) $(STEP) "audit and SBOM tools" deploy/setup/python-packages $(SECURITY) requirements-security.lock
	@touch $@

.PHONY: fuzz sbom audit
FUZZ_SECONDS := $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),600)
fuzz: gen/.stamp ## Coverage-guided fuzzing of one target, as in make fuzz TARGET=sdp SECONDS=600; finds go to build/fuzz
	@exec python -m tests.fuzz $(TARGET) $(FUZZ_SECONDS)

sbom: $(SECURITY)/.stamp $(NODE) ## What packages each image has, by the locks, as CycloneDX in build/sbom
	@exec python -m deploy.supply.sbom $(SECURITY)/bin/cyclonedx-py

audit: $(SECURITY)/.stamp $(NODE) ## Known vulnerabilities of locked packages; fails for one, and says what could not be seen
	@exec python -m deploy.supply.audit $(SECURITY)/bin/pip-audit

# ---- Maintain

.PHONY: lock wheels dist clean
UV := .parley/uv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock" \
	--no-emit-package parley-protocol --no-emit-package parley-client
lock: $(VENV)/.stamp ## Lock the newest Python packages that pyproject.toml allows, by hash and without addresses
	$(UV) --upgrade pyproject.toml -o requirements.lock
	$(UV) --upgrade pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	for group in node security uv; do $(UV) --upgrade --group $$group -o requirements-$$group.lock || exit 1; done

WHEELS := build/wheels
wheels: gen/.stamp ## Build the distributions into build/wheels: parley, parley-protocol, parley-client
	@rm -rf $(WHEELS)
	@deploy/setup/wheels $(WHEELS) . protos clients/python

DIST := build/dist
dist: gen/.stamp build/web.stamp ## Build what client authors install into build/dist: Python's wheels and the npm packages
	@rm -rf $(DIST)
	@deploy/setup/wheels $(DIST) protos clients/python
	@npm pack --silent --workspace clients/web --workspace clients/react --pack-destination $(DIST)

clean: ## Remove what was built and installed; the data of `make run` stays in .parley
	rm -rf build gen node_modules clients/web/src/gen clients/web/dist clients/react/dist tests/support/react-18/node_modules $(VENV) $(NODE_VENV) .parley/npm.stamp .parley/uv .parley/kafka
	rm -rf .mypy_cache .ruff_cache .pytest_cache
