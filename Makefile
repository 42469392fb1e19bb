# Parley. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .parley/venv
NODE_VENV := .parley/node
# The venv's programs come first; node from PyPI only where the machine has none.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH):$(CURDIR)/$(NODE_VENV)/bin
export PYTHONPATH := $(CURDIR):$(CURDIR)/gen
PROTOS := $(shell find protos -name '*.proto')
WEB_SOURCES := $(shell find services/web -type f -not -name '*.py' -not -path '*/node_modules/*' -not -path '*/src/gen/*' 2>/dev/null)
NATIVE_SOURCES := $(wildcard services/sfu/*.py services/sfu/*/*.py services/runtime/*.py)
TYPED := $(wildcard services deploy loadtests tests/support tests/conftest.py)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# ---- Set-up: each stamp is older than what it was made from, or it is made anew.

$(VENV)/.stamp: requirements-dev.lock
	@echo "Installing Python packages into $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

gen/.stamp: $(VENV)/.stamp $(PROTOS)
	@rm -rf gen && mkdir -p gen
	@python -m grpc_tools.protoc -I protos --python_out=gen --grpc_python_out=gen --mypy_out=quiet:gen --mypy_grpc_out=quiet:gen $(PROTOS)
	@touch $@

$(NODE_VENV)/.stamp: requirements-node.lock
	@rm -rf $(NODE_VENV) && mkdir -p $(NODE_VENV)
	@if ! command -v npm >/dev/null; then \
	  echo "Installing node from PyPI into $(NODE_VENV) ..."; \
	  $(PYTHON) -m venv --clear $(NODE_VENV) && \
	  $(NODE_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-node.lock; fi
	@touch $@

.parley/npm.stamp: services/web/package-lock.json $(NODE_VENV)/.stamp
	@echo "Installing the web client's packages ..."
	@cd services/web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build/web.stamp: .parley/npm.stamp $(VENV)/.stamp $(PROTOS) $(WEB_SOURCES)
	@echo "Building the web client ..."
	@cd services/web && npm run --silent build
	@touch $@

build/native.stamp: $(VENV)/.stamp deploy/native.py $(NATIVE_SOURCES)
	@echo "Compiling the SFU's media path ..."
	@python -m deploy.native build/native
	@touch $@

.PHONY: setup gen native web
setup: $(VENV)/.stamp gen/.stamp build/native.stamp build/web.stamp ## Install and generate what the other targets need
gen: gen/.stamp ## Generate the protobuf code
native: build/native.stamp ## Compile the SFU's media path into build/native; without a C compiler it runs from its sources
web: build/web.stamp ## Build the web client into build/web

# ---- Run

.PHONY: run demo load-messages load-routing load-devices load-calls-setup bench-sfu bench-impaired
run: setup ## Start everything; Ctrl-C stops it
	@exec python -m deploy.embedded run

demo: setup ## A message and a call between two headless clients; ends with one JSON line
	@exec python -m loadtests.demo

load-messages: gen/.stamp ## The message path under load; report in build/reports/messages.json
	@exec python -m loadtests.messages $(ARGS)

load-calls-setup: gen/.stamp ## Calls set up and torn down under load; report in build/reports/call_setup.json
	@exec python -m loadtests.calls_setup $(ARGS)

load-devices: gen/.stamp ## 10,000 idle devices on one gateway; report in build/reports/devices.json
	@exec python -m loadtests.devices $(ARGS)

load-routing: gen/.stamp ## Routing with 1 to 8 replicas, and with one killed; report in build/reports/routing.json
	@exec python -m loadtests.routing $(ARGS)

bench-sfu: gen/.stamp build/native.stamp ## The SFU under load: fan-out, voice calls, joins; report in build/reports/sfu.json
	@exec python -m loadtests.sfu $(ARGS)

bench-impaired: gen/.stamp build/native.stamp ## Two browsers in a call over bad networks; report in build/reports/impaired.json
	@exec python -m loadtests.impaired $(ARGS)

# ---- Check

.PHONY: test unit integration e2e lint
test: setup ## All tests
	@exec .ci/test

unit: setup ## Tests without any server: Python's and the web client's
	python -m pytest tests/unit
	cd services/web && npm test

integration: setup ## Tests on the embedded stack, and kill -9 of each service
	python -m pytest tests/integration tests/faults

.PHONY: kafka integration-kafka
kafka: .parley/kafka/.stamp ## Bring Apache Kafka from Maven, for PARLEY_BROKER=kafka
.parley/kafka/.stamp: deploy/kafka/pom.xml
	@echo "Bringing Apache Kafka ..."
	@rm -rf .parley/kafka && mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/.parley/kafka
	@touch $@

integration-kafka: setup kafka ## The tests of events and of kills once more, on Apache Kafka
	PARLEY_BROKER=kafka python -m pytest tests/integration/runtime tests/integration/api tests/faults

e2e: setup ## A message and a call between two real browsers
	@chromium=$$(.ci/chromium) && firefox=$$(.ci/firefox) && PARLEY_CHROMIUM=$$chromium PARLEY_FIREFOX=$$firefox exec python -m pytest tests/e2e

lint: setup ## Style, types, protos, the edge's configuration
	ruff check .
	ruff format --check .
	mypy $(TYPED)
	buf lint
	.ci/buf-breaking
	python -m deploy.envoy.validate
	cd services/web && npm run --silent lint

.PHONY: k8s-check
k8s-check: gen/.stamp ## Render and check the Kubernetes manifests, the alerts and their tests; no cluster is needed
	python -m deploy.k8s.check
	python -m pytest -q tests/unit/deploy
	promtool=$$(.ci/promtool) && PARLEY_PROMTOOL=$$promtool python -m deploy.observability.check

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

.PHONY: observe-check
observe-check: gen/.stamp ## A real Prometheus over the stack: scrapes, rules, dashboards' data, alerts in a fault drill (2.5 min)
	promtool=$$(.ci/promtool) && PARLEY_PROMTOOL=$$promtool python -m loadtests.observe $(ARGS)

# ---- Maintain

.PHONY: lock clean
UV := .parley/uv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock"
lock: ## Lock the newest Python packages that requirements*.in allow, by hash and without addresses
	@test -x .parley/uv/bin/uv || { $(PYTHON) -m venv .parley/uv && .parley/uv/bin/pip install --quiet uv; }
	$(UV) --upgrade requirements.in -o requirements.lock
	$(UV) --upgrade requirements-dev.in -c requirements.lock -o requirements-dev.lock
	$(UV) --upgrade requirements-node.in -o requirements-node.lock

clean: ## Remove what was built and installed; the data of `make run` stays in .parley
	rm -rf build gen services/web/node_modules services/web/src/gen $(VENV) $(NODE_VENV) .parley/npm.stamp .parley/uv
	rm -rf .mypy_cache .ruff_cache .pytest_cache
