# Every target sets up what it needs (Debian packages, virtual environment), so each works as the first one after cloning.
# Setting up is a no-op as long as nothing has changed.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
LOCK_ARGS ?=
# Of `make cluster` and `make e2e-cluster`: native nodes, and the node on real OpenZFS (0: without it).
NODES ?= 2
ZFS ?= 1

VENV := .venv
PY := $(VENV)/bin/python
COVERAGE := build/coverage.json
# One stamp per state: another lock, another pyproject.toml or a checkout that was moved makes a new environment.
READY := $(VENV)/.ready-$(shell (pwd; cat requirements/dev.lock pyproject.toml) | sha256sum | cut -c 1-16)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := help
# `su` without a login keeps a user's path, where mkfs, losetup and blkid are not found.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name words; do printf '  make %-14s %s\n' "$$name" "$$words"; done

# --- what a user runs ---

.PHONY: demo
demo: need-root setup ## Drive the driver through a volume's whole life on an embedded pool (root)
	@$(PY) -m e2e.demo

.PHONY: test
test: setup ## Run every test tier that this machine can run; the header names those it cannot
	@mkdir -p $(dir $(COVERAGE))
	rm -f $(COVERAGE)
	$(PY) -m pytest --cov --cov-report=term-missing:skip-covered --cov-report=json:$(COVERAGE) $(PYTEST_ARGS)
	$(if $(strip $(PYTEST_ARGS)),echo 'coverage: PYTEST_ARGS chose what ran: no floors',$(PY) -m tools.check_coverage $(COVERAGE))

.PHONY: test-deep
test-deep: setup ## Run the property tests with many more examples, and the tests marked `deep`
	$(PY) -m pytest --hypothesis-profile=deep --timeout=3600 -m 'deep or property' $(PYTEST_ARGS)

.PHONY: sanity
sanity: need-root setup ## Run csi-sanity against the real driver on a real embedded pool (root, Go)
	@$(PY) -m tests.sanity

.PHONY: bench
bench: need-root setup ## Measure the driver and print the figures as ratios (root)
	@$(PY) -m tests.bench

.PHONY: e2e-zfs
e2e-zfs: need-root setup vm-packages ## Run the suites that need real OpenZFS in a virtual machine (root)
	@$(PY) -m e2e.vm suites

.PHONY: e2e-zfs-short
e2e-zfs-short: need-root setup vm-packages ## Run those of these suites that CI has the time for (root)
	@$(PY) -m e2e.vm suites --short

.PHONY: bench-router
bench-router: setup ## Measure the router of a cluster before 1,000 simulated nodes
	@$(PY) -m tests.bench.router --markdown docs/performance.md $(BENCH_ARGS)

.PHONY: bench-cas
bench-cas: setup ## Measure the chunk store beside other tools, those that are installed (borg, restic)
	@$(PY) -m tests.bench.store --markdown docs/performance.md $(BENCH_ARGS)

.PHONY: bench-zfs
bench-zfs: need-root setup vm-packages ## Measure the driver on real OpenZFS in a virtual machine (root)
	@$(PY) -m e2e.vm module --name bench e2e.bench $(BENCH_ARGS) --markdown /run/results/openzfs.md
	$(PY) -m e2e.bench.words build/e2e-zfs/bench/openzfs.md

# As CI's suites: an emulated node would take the processors from what is measured.
.PHONY: bench-cluster
bench-cluster: ZFS := 0
bench-cluster: need-root setup cluster-packages image-packages ## Measure the driver on a real Kubernetes cluster [NODES=2] (root, Go)
	@$(PY) -m e2e.cluster bench --nodes $(NODES) --zfs $(ZFS) --markdown docs/performance.md $(BENCH_ARGS)

.PHONY: vm
vm: need-root setup vm-packages ## Boot a virtual machine with real OpenZFS and leave it running (root)
	@$(PY) -m e2e.vm up

.PHONY: cluster
cluster: need-root setup cluster-packages image-packages ## Start a real Kubernetes cluster and leave it running [NODES=2] [ZFS=1] (root, Go)
	@$(PY) -m e2e.cluster up --nodes $(NODES) --zfs $(ZFS)

.PHONY: cluster-down
cluster-down: need-root setup ## End that cluster, with all that it started (root)
	@$(PY) -m e2e.cluster down

.PHONY: e2e-cluster
e2e-cluster: need-root setup cluster-packages image-packages ## Run the suites that need a real Kubernetes cluster [NODES=2] [ZFS=1] (root, Go)
	@$(PY) -m e2e.cluster suites --nodes $(NODES) --zfs $(ZFS)

# On native nodes alone: no machine has to be emulated.
.PHONY: e2e-cluster-short
e2e-cluster-short: ZFS := 0
e2e-cluster-short: need-root setup cluster-packages image-packages ## Run those of these suites that CI has the time for (root, Go)
	@$(PY) -m e2e.cluster suites --short --nodes $(NODES) --zfs $(ZFS)

.PHONY: e2e-s3
e2e-s3: setup ## Run the suites of the chunk store's objects against a real S3 server (Go)
	@$(PY) -m e2e.s3

.PHONY: image
image: need-root setup image-packages ## Build the image of the driver and say where it is, without a container engine (root)
	@$(PY) -m e2e.image

.PHONY: image-test
image-test: need-root setup image-packages ## Check that image, and that two builds of it are the same (root)
	$(PY) -m pytest -m 'deep or not deep' e2e/image $(PYTEST_ARGS)

# --- what a developer runs ---

.PHONY: chart-test
chart-test: setup ## Run the tests of the Helm chart only (Go, for Helm)
	$(PY) -m pytest tests/chart $(PYTEST_ARGS)

.PHONY: chart-accept
chart-accept: setup ## Write anew what the chart renders, to be read as a difference (Go, for Helm)
	$(PY) -m tests.chart.golden

.PHONY: lint
lint: lint-style lint-types lint-imports lint-spelling ## Check style, types, layers and spelling

.PHONY: lint-style
lint-style: setup ## Check style and format only
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: lint-types
lint-types: setup ## Check types only
	$(PY) -m mypy

.PHONY: lint-imports
lint-imports: setup ## Check who imports whom only
	$(VENV)/bin/lint-imports

.PHONY: lint-spelling
lint-spelling: setup ## Check spelling only
	$(PY) -m codespell_lib .

.PHONY: format
format: setup ## Format the code and apply the safe fixes
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

.PHONY: proto
proto: setup ## Generate csi_zfs/rpc/generated from proto/
	$(PY) proto/generate.py

.PHONY: docs
docs: setup ## Generate docs/reference from the code
	$(PY) -m docs.generate

# Only the lists of files are kept from pip's own configuration out of the locks: whoever installs has an index of their own.
.PHONY: lock
lock: setup ## Lock the dependencies of pyproject.toml again (LOCK_ARGS=--upgrade for newer ones)
	export CUSTOM_COMPILE_COMMAND='make lock'
	unset PIP_FIND_LINKS
	compile() {
	    $(PY) -m piptools compile --quiet --no-config --generate-hashes --strip-extras --allow-unsafe \
	        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options $(LOCK_ARGS) "$$@" pyproject.toml
	}
	compile --output-file requirements/run.lock
	compile --extra dev --constraint requirements/run.lock --output-file requirements/dev.lock
	compile --only-build-deps --build-deps-for wheel --constraint requirements/dev.lock --output-file requirements/build.lock
	! grep -n -E '://|^--' requirements/*.lock

.PHONY: clean
clean: ## Remove everything that was made here, the virtual environment too
	rm -rf $(VENV) $(VENV).lock build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- setting up ---

.PHONY: setup
setup: packages $(READY) ## Install the missing Debian packages and make the virtual environment

.PHONY: packages
packages:
	@tools/debian-packages $(PYTHON)

.PHONY: vm-packages
vm-packages:
	@tools/debian-packages $(PYTHON) vm

.PHONY: cluster-packages
cluster-packages:
	@tools/debian-packages $(PYTHON) cluster $(if $(filter 0,$(ZFS)),,vm)

.PHONY: image-packages
image-packages:
	@tools/debian-packages $(PYTHON) image

.PHONY: need-root
need-root:
	@if [ "$$(id -u)" -ne 0 ]; then
	    echo "make $(MAKECMDGOALS) mounts file systems and attaches loop devices, which needs root: please run 'sudo make $(MAKECMDGOALS)'." >&2
	    exit 1
	fi

# The lock file lets two `make` at once share one environment instead of breaking it for each other.
$(READY):
	@exec 9>$(VENV).lock
	flock 9
	if [ -e $@ ]; then exit 0; fi
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	    echo "csi-zfs needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Please name another one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2
	    exit 1
	fi
	echo "Making the virtual environment $(VENV) from requirements/dev.lock"
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.lock
	# setuptools warns that a folder could hide the package; it is the package.
	PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@
