# Holdpoint's tasks. `make help` lists them. Needs python3 (3.11 or newer), make and git; everything else is pinned.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# A stamp's name has a hash of the requirements in it: other requirements, another stamp, a new installation.
RUN_STAMP := $(VENV)/.run-$(shell cat requirements.txt pyproject.toml | cksum | cut -d' ' -f1)
TEST_STAMP := $(VENV)/.test-$(shell cat requirements-test.txt pyproject.toml | cksum | cut -d' ' -f1)

# Only what is pinned, only when its hash is right; this project itself from here, without asking any index.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
THIS := $(INSTALL) --no-index --no-build-isolation --no-deps --editable .

PEERS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/holdpoint-bench

COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --extra build

.DEFAULT_GOAL := help
.PHONY: help setup demo test check gallery gallery-tools identity-tools bench bench-peers soak fmt requirements clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(RUN_STAMP) ## set up .venv with what Holdpoint needs to run

demo: $(RUN_STAMP) ## run everything with a sample policy and a small model; options in ARGS="--port 9080"
	@exec $(BIN)/holdpoint demo $(ARGS)

test: $(TEST_STAMP) ## run the tests; a selection in ARGS="-k embedded", other random examples with ARGS="--hypothesis-profile explore"
	@exec $(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(TEST_STAMP) ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

gallery: $(TEST_STAMP) ## draw every card in every state into docs/gallery; needs node, npm, Chromium
	@exec $(BIN)/python -m tests.gallery docs/gallery

gallery-tools: $(TEST_STAMP) ## fetch what draws the cards; without it the tests of the drawn cards are skipped
	@exec $(BIN)/python -m tests.gallery.tools

identity-tools: $(TEST_STAMP) ## fetch the identity providers from npm; without them their tests are skipped
	@exec $(BIN)/python -m tests.identity.tools

bench: $(TEST_STAMP) ## measure; options in ARGS
	@exec $(BIN)/python -m tests.bench $(ARGS)

bench-peers: ## install LiteLLM's proxy and Portkey's gateway for `make bench`, outside the tree; needs npm
	$(PYTHON) -m venv "$(PEERS)/litellm"
	"$(PEERS)/litellm/bin/pip" install --quiet 'litellm[proxy]'
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$(PEERS)/portkey" @portkey-ai/gateway

soak: $(TEST_STAMP) ## mixed load while gateways are killed; half an hour, or ARGS="--minutes 5 --seed 7"
	@exec $(BIN)/python -m tests.soak $(ARGS)

fmt: $(TEST_STAMP) ## format the code and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: $(TEST_STAMP) ## pin the newest versions that pyproject.toml allows
	$(COMPILE) --upgrade --output-file requirements.txt
	$(COMPILE) --upgrade --extra test --extra lint --extra postgres --extra saml --constraint requirements.txt --output-file requirements-test.txt

clean: ## remove the environment and all caches; data folders stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "holdpoint: needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true). Name another: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "holdpoint: '$(PYTHON)' lacks the venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@rm -rf $(VENV)
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): | $(BIN)/python
	@$(INSTALL) --require-hashes --only-binary :all: --requirement requirements.txt
	@$(THIS)
	@rm -f $(VENV)/.run-* && touch $@

# The test requirements include the runtime's, at the same versions.
$(TEST_STAMP): | $(BIN)/python
	@$(INSTALL) --require-hashes --only-binary :all: --requirement requirements-test.txt
	@$(THIS)
	@rm -f $(VENV)/.run-* $(VENV)/.test-* && touch $(RUN_STAMP) $@
