# Parley. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .parley/venv
PY := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/gen
PROTOS := $(shell find protos -name '*.proto')

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(VENV)/.stamp: requirements-dev.lock
	python3.11 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

gen/.stamp: $(VENV)/.stamp $(PROTOS)
	@rm -rf gen && mkdir -p gen
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m grpc_tools.protoc -I protos \
	  --python_out=gen --grpc_python_out=gen --mypy_out=quiet:gen --mypy_grpc_out=quiet:gen $(PROTOS)
	@touch $@

.PHONY: setup gen
setup: $(VENV)/.stamp gen/.stamp ## Install what the other targets need
gen: gen/.stamp ## Generate the protobuf code
