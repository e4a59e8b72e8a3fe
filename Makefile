# Everything runs in .venv, which the first target that needs it makes from the hashed lock files.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
# Each has an image with the extra of the same name (deploy/Dockerfile).
SERVICES := gateway blur_worker mailer scheduler web

.PHONY: help run demo mailing test test-unit test-faults test-indices chaos bench pictures screenshots fuzz lint format \
  protos settings lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: .venv/.installed ## Set up and serve everything on this machine; Ctrl-C stops it
	@$(BIN)/python -m services.stack

demo: .venv/.installed ## Set up, blur real photographs through the whole stack, show the mail that came, end
	@$(BIN)/python -m services.stack.demo

mailing: .venv/.installed ## Send the newsletter now, to the confirmed subscribers of make run
	@$(BIN)/imageblur admin run-mailing --yes

test: .venv/.installed-dev ## Set up and run all tests
	$(BIN)/pytest

test-unit: .venv/.installed-dev ## Only the tests without input or output: seconds
	$(BIN)/pytest tests/unit

test-faults: .venv/.installed-dev ## Kill, cut, stall and fill two of each service while they work: minutes
	$(BIN)/pytest tests/faults $(if $(REPORT),--faults-report $(REPORT))

test-indices: .venv/.installed-dev ## The compiled loops of JPEG with every index checked, on damaged files: minutes
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m tests.unit.engine.every_index $(or $(COUNT),1000)

chaos: .venv/.installed-dev ## Random clients and random faults at once (SECONDS=60 SEED= DATABASE=sqlite), then an audit
	$(BIN)/python -m tests.faults.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) \
	  $(if $(DATABASE),--database $(DATABASE))

screenshots: .venv/.installed-dev ## Every web page as a picture into docs/screenshots (needs chromium; PAGES=operator)
	$(BIN)/python -m tests.e2e.web.screenshots docs/screenshots $(if $(PAGES),--pages $(PAGES))

bench: .venv/.installed-bench ## The engine against Pillow, libvips, OpenCV; the stack against the engine (half an hour)
	$(BIN)/python -m benchmarks.engine --write $(if $(ROUNDS),--rounds $(ROUNDS))
	$(BIN)/python -m benchmarks.stack --write

pictures: .venv/.installed-dev ## Draw the documents' pictures of effects anew
	$(BIN)/python -m tools.draw_before_after

fuzz: .venv/.installed-bench ## Feed the engine damaged files, then what a coverage-guided fuzzer makes up (SECONDS=60 SEED=)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.guided_fuzz --seconds $(or $(SECONDS),60)

lint: .venv/.installed-dev ## Formatting, lints, types, import rules, protos and generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint protos
	$(BIN)/python -m tools.generate_protos --check
	$(BIN)/python -m tools.document_settings --check

format: .venv/.installed-dev ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: .venv/.installed-dev ## Generate the Python code of protos/ anew
	$(BIN)/python -m tools.generate_protos

settings: .venv/.installed-dev ## Write .env.example and docs/settings.md anew
	$(BIN)/python -m tools.document_settings

lock: .venv/.installed-dev ## Resolve the lock files anew from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --quiet --upgrade pyproject.toml --extra all --output-file requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --quiet --upgrade pyproject.toml --extra all --extra tracing --group dev --constraint requirements.lock \
	  --output-file requirements-dev.lock
	for service in $(SERVICES); do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --quiet --upgrade pyproject.toml --extra $${service//_/-} --extra tracing --constraint requirements-dev.lock \
	    --output-file services/$$service/requirements.lock || exit 1; \
	done
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --quiet --upgrade pyproject.toml --extra benchmarks --group dev --constraint requirements-dev.lock \
	  --output-file requirements-bench.lock

clean: ## Remove the environment and caches, never data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/.uv: Makefile
	@echo "Setting up .venv (once; takes a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ImageBlur needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.installed: .venv/.uv requirements.lock pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -c 'import services.blur_worker.engine' # compiles its loops, which otherwise the first start does
	@touch $@

.venv/.installed-bench: .venv/.installed-dev requirements-bench.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@
