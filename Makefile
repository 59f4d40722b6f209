# Short targets: the work is done in local/, operations/, training/ and tests/. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# In the environment and not expanded, so that the path may have any character.
ifneq ($(origin PHOTOS),undefined)
override export PHOTOS := $(value PHOTOS)
PHOTOS_ARGUMENT := --photos "$$PHOTOS"
endif
MODEL ?= models/$(USE_CASE)
PORT ?= 8080

# An environment of samconfig.toml; vehicles is its `default`: make run USE_CASE=scones
USE_CASE ?= vehicles
USE_CASES := vehicles $(filter-out default local,$(shell sed -n 's/^\[\(.*\)\.global\.parameters\]$$/\1/p' samconfig.toml))
ifneq ($(words $(filter $(USE_CASES),$(USE_CASE))),1)
$(error there is no use case "$(USE_CASE)": give one of $(USE_CASES), or add an environment to samconfig.toml (docs/use-cases.md))
endif
CONFIG_ENV = $(if $(filter-out vehicles,$(USE_CASE)),--config-env $(USE_CASE))

# Other ports of the local cloud: make run CLOUD_PORT=4567 SERVING_PORT=8081
PORTS = $(if $(CLOUD_PORT),--cloud-port="$(CLOUD_PORT)") $(if $(SERVING_PORT),--serving-port="$(SERVING_PORT)")

# Another stack than that of the use case: make deploy STACK=scones-kitchen
STACK ?= $(if $(filter-out vehicles,$(USE_CASE)),scones-unlimited-$(USE_CASE))
STACK_NAME = $(if $(STACK),--stack-name "$(STACK)")

VENV := .venv
BIN := $(VENV)/bin
TRAINING := .venv-training
# requirements/*.txt list all packages: nothing is resolved.
UV_INSTALL = $(1)/bin/uv pip install --quiet --no-deps --python $(1)/bin/python --require-hashes --requirement

IS_3_13 := -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1
ifndef PYTHON
# The first of these that is Python 3.13.
PYTHON := $(shell for python in python3.13 python3 python; do \
	$$python $(IS_3_13) && echo $$python && break; done)
endif

# With cached bytecode, the tools start in half the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

# ── Use it ──

.PHONY: run
run: $(VENV)/run ## Classify the sample photos and show what follows on this machine (USE_CASE=scones PHOTOS=folder)
	@$(BIN)/python -m local.run $(PHOTOS_ARGUMENT) --use-case $(USE_CASE) $(PORTS)

.PHONY: up
up: $(VENV)/run ## Start the local cloud, deploy to it, and keep it running
	@$(BIN)/python -m local.keep up --use-case $(USE_CASE) $(PORTS)

.PHONY: down
down: $(VENV)/run ## Stop what `make up` started
	@$(BIN)/python -m local.keep down

.PHONY: demo
demo: $(VENV)/run ## Show both pages with a simulated working day, until Ctrl-C
	@$(BIN)/python -m local.demo --use-case $(USE_CASE) $(PORTS)

.PHONY: drill
drill: $(VENV)/run ## Simulate days with drift, alarms and reviews on this machine (10 minutes)
	@$(BIN)/python -m local.drill

.PHONY: serve
serve: $(VENV)/run ## Serve a model alone (USE_CASE=scones PORT=8080, or MODEL=folder)
	@$(BIN)/python -m serving.app --port $(PORT) --model-dir "$(MODEL)"

.PHONY: build
build: $(VENV)/run ## Build the functions for AWS
	PATH="$$PWD/$(BIN):$$PATH" sam build

.PHONY: deploy
deploy: build ## Deploy the stack to AWS (USE_CASE=scones, or STACK=name for another stack)
	PATH="$$PWD/$(BIN):$$PATH" sam deploy $(CONFIG_ENV) $(STACK_NAME) $(if $(STACK),--s3-prefix "$(STACK)")

.PHONY: events
events: $(VENV)/run ## Write the sample events for the deployed stack to build/events
	@$(BIN)/python -m operations.sample_events $(STACK_NAME)

.PHONY: review
review: $(VENV)/run ## Label the photos that are below the confidence threshold
	@$(BIN)/python -m operations.review $(STACK_NAME)

.PHONY: users
users: $(VENV)/run ## Users of the web pages (ARGS="create anna couriers")
	@$(BIN)/python -m operations.users $(STACK_NAME) $(or $(ARGS),--help)

.PHONY: train
train: ## Train a model for your labels (PHOTOS=my/photos NAME=my_model) in minutes, no GPU
	@test -n "$(NAME)" -a -d "$$PHOTOS" || { echo "give a folder of photos and a name: make train PHOTOS=my/photos NAME=my_model" >&2; exit 2; }
	@$(MAKE) --no-print-directory $(TRAINING)/training
	@$(TRAINING)/bin/python -m training.local --photos "$$PHOTOS" --name "$(NAME)" $(ARGS)

.PHONY: launch
launch: $(VENV)/run ## Train on SageMaker and deploy the model to the stack's endpoint
	@$(BIN)/python -m training.launch.check $(STACK_NAME) $(ARGS)
	@$(MAKE) --no-print-directory $(TRAINING)/training
	@$(TRAINING)/bin/python -m training.launch $(STACK_NAME) $(ARGS)

.PHONY: delete
delete: $(VENV)/run ## Delete the stack, the endpoint and all data from AWS (asks first)
	@$(BIN)/python -m operations.delete $(STACK_NAME)

# ── Test it ──

# Two workers, each with its own local cloud. All tests of a file run on one worker.
.PHONY: test
test: lint ## Unit, stack, serving and workflow tests (no AWS account, no Docker)
	$(BIN)/pytest tests/workflow tests/serving tests/stack tests/unit \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: lint
lint: $(VENV)/dev ## Ruff, mypy, sam validate, cfn-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PATH="$$PWD/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 sam validate
	$(BIN)/cfn-lint template.yaml

.PHONY: test-training
test-training: $(VENV)/dev $(TRAINING)/training ## mypy and tests of training/ (installs torch, 5 GB)
	$(BIN)/mypy --python-executable $(TRAINING)/bin/python --exclude training/launch \
		training benchmarks/anomaly.py benchmarks/inference.py
	$(TRAINING)/bin/pytest tests/training

.PHONY: test-web
test-web: $(VENV)/web ## Both pages in a real browser (needs Chromium: apt-get install chromium)
	$(BIN)/pytest tests/web --numprocesses 2 --dist loadfile

.PHONY: test-sam-local
test-sam-local: $(VENV)/dev ## `sam local invoke` and the serving container, in Docker
	$(BIN)/python tests/sam_local/engine.py $(BIN)/pytest tests/sam_local

# ── Set it up ──

.PHONY: setup
setup: $(VENV)/dev ## Create the environment for development

$(VENV)/bin/uv $(TRAINING)/bin/uv: export PYTHON := $(PYTHON)
$(VENV)/bin/uv $(TRAINING)/bin/uv: requirements/uv.txt
	@"$$PYTHON" $(IS_3_13) || { echo "Python 3.13 is needed: install it, or name it with PYTHON=/path/to/python3.13" >&2; exit 1; }
	@test ! -L $(patsubst %/bin/uv,%,$@) || { echo "$(patsubst %/bin/uv,%,$@) is a link: remove it, or update the environment that it leads to" >&2; exit 1; }
	@"$$PYTHON" -m venv --clear $(patsubst %/bin/uv,%,$@)
	@$(patsubst %/uv,%/python,$@) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(VENV)/run: requirements/run.txt $(VENV)/bin/uv
	@echo "installing what the local run needs"
	@$(call UV_INSTALL,$(VENV)) $<
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/bin/uv
	@echo "installing what the tests need"
	@$(call UV_INSTALL,$(VENV)) $<
	@touch $@ $(VENV)/run

$(VENV)/web: requirements/web.txt $(VENV)/bin/uv
	@echo "installing what the tests in the browser need"
	@$(call UV_INSTALL,$(VENV)) $<
	@touch $@ $(VENV)/dev $(VENV)/run

$(TRAINING)/training: requirements/training.txt $(TRAINING)/bin/uv
	@echo "installing what training needs: torch, 5 GB"
	@$(call UV_INSTALL,$(TRAINING)) $<
	@touch $@

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.13 \
	--custom-compile-command "make lock"
OVERRIDE = --override requirements/overrides.txt

.PHONY: lock
lock: $(VENV)/bin/uv ## Pin and hash all requirements again
	$(COMPILE) requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE) $(OVERRIDE) requirements/run.in --output-file requirements/run.txt
	$(COMPILE) serving/requirements.in --constraints requirements/run.txt \
		--output-file serving/requirements.txt
	$(COMPILE) $(OVERRIDE) requirements/dev.in --constraints requirements/run.txt \
		--output-file requirements/dev.txt
	$(COMPILE) $(OVERRIDE) requirements/web.in --constraints requirements/dev.txt \
		--output-file requirements/web.txt
	$(COMPILE) requirements/awscli.in --output-file requirements/awscli.txt
	$(COMPILE) requirements/training.in --output-file requirements/training.txt
	for folder in $(dir $(wildcard functions/*/requirements.in)); do $(COMPILE) $(OVERRIDE) $$folder/requirements.in \
		--constraints requirements/run.txt \
		--no-emit-package botocore --no-emit-package python-dateutil --no-emit-package six \
		--no-emit-package urllib3 --output-file $$folder/requirements.txt || exit 1; done

.PHONY: vendor
vendor: $(VENV)/run ## Fetch the JavaScript libraries that web/vendor.json names (needs npm)
	@$(BIN)/python -m local.vendor

.PHONY: docs
docs: $(VENV)/dev ## Generate docs/reference.md, docs/asyncapi.yaml and docs/openapi.yaml
	@$(BIN)/python -m docs.generate

.PHONY: clean
clean: ## Stop the local clouds; delete environments, builds and logs
	@test ! -d .local || python3 -m local.processes
	rm -rf $(VENV) $(TRAINING) .aws-sam .local build
