# Everything sets itself up: python3 with its venv module and make are all that is needed.
#   make demo          two parties find each other, prove who they are and talk, with the SIP ladder on the screen;
#                      make demo ARGS=--keep goes on, with a console in your browser
#   make test          all tests that need nothing but Python
#   make check         lint, types, tests and documents, as CI runs them
# A different Python: make test PYTHON=python3.13. One suite: make test TESTS=tests.sip.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
TRIAL := $(BIN)/python -m twisted.trial --temp-directory=build/trial

# tests.interop needs other SIP programs and tests.test_packaging builds environments of its own: each has its target.
SUITES := $(patsubst tests/%/__init__.py,tests.%,$(sort $(wildcard tests/*/__init__.py))) \
          $(patsubst tests/%.py,tests.%,$(sort $(wildcard tests/test_*.py)))
TESTS ?= $(filter-out tests.interop tests.test_packaging,$(SUITES))

.PHONY: help demo test test-packaging test-oldest interop bench lint format types docs rows check coverage clean wheel deb

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.installed
	@$(BIN)/sip-p2p demo $(ARGS)

test: $(VENV)/.test
	@mkdir -p build
	@$(TRIAL) --reporter=text $(TESTS)

test-packaging: $(VENV)/.test
	@mkdir -p build
	@$(TRIAL) tests.test_packaging

# What touches the packages that we stand on, with the oldest versions that setup.cfg allows.
test-oldest: $(VENV)-oldest/.test
	@mkdir -p build
	@$(VENV)-oldest/bin/python -m twisted.trial --temp-directory=build/trial --reporter=text \
	    tests.transport tests.endpoint tests.observe tests.service tests.testing tests.test_examples

# Skips, with the reason, what is not installed; .ci/run lists the packages.
interop: $(VENV)/.test
	@mkdir -p build
	@$(TRIAL) tests.interop

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks

lint: $(VENV)/.lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/.lint
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/.lint
	@$(BIN)/mypy

docs: $(VENV)/.docs rows
	@$(BIN)/python -m sphinx -q -N -W --keep-going -b html docs build/docs/html
	@echo build/docs/html/index.html

# The generated pages of the documents: what is shown by which test, the figures of the machines, and the certificates.
rows: $(VENV)/.installed
	@$(BIN)/python tools/markers.py
	@$(BIN)/python tools/figures.py
	@$(BIN)/python tools/certificate_matrix.py
	@$(BIN)/python tools/limits_table.py
	@$(BIN)/python tools/manpages.py

# What tests.sip alone covers of sip_p2p.sip: its code is to be shown by its own tests, not by what passes through it.
coverage: $(VENV)/.test
	@mkdir -p build/coverage
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m twisted.trial --temp-directory=build/trial --reporter=text tests.sip
	@$(BIN)/python -m coverage combine -q
	@$(BIN)/python -m coverage report --include='sip_p2p/sip/*' --fail-under=95

# Octet by octet the same when made twice; for another Python: make deb PYTHON=/usr/bin/python3.
wheel: $(VENV)/.made
	@$(BIN)/python tools/package.py wheel dist

deb: $(VENV)/.made
	@$(BIN)/python tools/package.py deb dist

check: lint types test docs

clean:
	rm -rf $(VENV) $(VENV)-oldest build dist *.egg-info .mypy_cache .ruff_cache .hypothesis _trial_temp* docs/_build

# One stamp for each set of packages; a change of setup.cfg or pyproject.toml installs again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("sip_p2p needs Python 3.11 or newer, and this is %s" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made setup.cfg pyproject.toml
	@$(PIP) -e .
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.docs: $(VENV)/.%: $(VENV)/.installed
	@$(PIP) -e '.[$*]'
	@touch $@

$(VENV)-oldest/.test: setup.cfg pyproject.toml
	@$(PYTHON) -m venv $(VENV)-oldest
	@sed -nE '/^(install_requires|opentelemetry)/,/^[^ ]/s/^ +([A-Za-z._-]+).* >= */\1==/p' setup.cfg > $(VENV)-oldest/oldest.txt
	@$(VENV)-oldest/bin/python -m pip install -qq --disable-pip-version-check -c $(VENV)-oldest/oldest.txt -e '.[test]'
	@touch $@
