# make demo   watch real trainings, one after the other, live in JupyterLab
# make test   everything CI checks: lint, types, front-end tests, Python tests in real browsers and servers
# make lint   the first part of it
# make soak   the faults that a live view has to survive, on real processes: kills, cuts, full disks (docs/RELIABILITY.md),
#             and fifty times as much garbage as `make test` throws at all that reads; the steps of the container's image
# make bench  what it costs beside the floor and beside others, and docs/PERFORMANCE.md written anew; an hour, alone
# make bench-quick  the cheap part of it in three minutes: what got worse since the figures that are committed
# make setup  only the set-up, which the others do by themselves; make clean undoes it

PYTHON ?= python3
COVERAGE ?= 95
PYTEST_ARGS ?=
BENCH_ARGS ?=
# Tests wait for processes and browsers more than they compute: one more at once than there are cores. 0 runs one after the other.
JOBS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
UI := forge_widgets/ui
LAB_COPY := $(VENV)/share/jupyter/labextensions/forge-widgets

UI_SOURCES := $(shell find $(UI)/src $(UI)/schema -type f -not -name '*.test.ts*') \
              $(wildcard $(UI)/*.json $(UI)/*.mjs $(UI)/.npmrc)

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test soak bench bench-quick lint setup clean
.DELETE_ON_ERROR:

demo: setup
	$(BIN)/forge-widgets demo

test: lint $(STAMPS)/chromium $(STAMPS)/debian
	cd $(UI) && npm test
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --cov --cov-report=term --cov-fail-under=$(COVERAGE) $(PYTEST_ARGS)

# -rP shows what each test drew its accidents by, and measured.
soak: setup
	FORGE_FAULTS=long $(BIN)/python -m pytest tests/faults tests/fuzz tests/server/test_server_openapi.py tests/deploy/test_deploy_image.py -rP $(PYTEST_ARGS)

bench: setup $(STAMPS)/chromium $(STAMPS)/redis
	$(BIN)/python -m tests.bench --write $(BENCH_ARGS)

bench-quick: setup
	$(BIN)/python -m tests.bench --quick $(BENCH_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd $(UI) && npm run typecheck && npm run lint

# A second make, since installing builds the front end too: only a fresh look at the stamps sees that.
setup: $(STAMPS)/installed
	@$(MAKE) --no-print-directory --silent $(STAMPS)/front-end

$(STAMPS)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "forge-widgets needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/installed: pyproject.toml install.json $(wildcard jupyter_config/*) forge_widgets/_version.py | $(STAMPS)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	.ci/node $(VENV)
	touch $(STAMPS)/front-end
	touch $@

# An editable install holds a copy of the lab extension, which has to follow.
$(STAMPS)/front-end: $(UI_SOURCES)
	cd $(UI) && npm install && npm run build
	mkdir -p $(LAB_COPY)
	rm -rf $(LAB_COPY)/static $(LAB_COPY)/schemas
	cp -R forge_widgets/labextension/. $(LAB_COPY)/
	touch $@

$(STAMPS)/chromium: | $(STAMPS)/installed
	.ci/chromium $(BIN)/python
	touch $@

$(STAMPS)/debian: | $(STAMPS)/python
	.ci/debian nginx supervisord systemd-analyze openssl
	touch $@

# One of the peers: where it can't be had, the page says so.
$(STAMPS)/redis: | $(STAMPS)/python
	-.ci/debian redis-server && touch $@

clean:
	rm -rf $(VENV) $(UI)/node_modules $(UI)/lib $(UI)/react/dist forge_widgets/labextension forge_widgets/static
	rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
