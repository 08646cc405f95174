# Needs make and Python 3.11 or newer with venv; everything else is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
# More words for pytest, e.g. PYTEST_FLAGS='-n 2 -k limit'.
PYTEST_FLAGS ?=

BIN := $(VENV)/bin
PIP = "$(BIN)/python" -m pip --quiet --disable-pip-version-check
INSTALL = $(PIP) install -c constraints.txt

.DEFAULT_GOAL := help
# The targets share one environment: under -j they still run one after the other.
.NOTPARALLEL:
.PHONY: help demo setup test slow test-all lint format wheel answer bench constraints clean distclean same-python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo 'Variables: PYTHON=$(PYTHON) VENV=$(VENV) PYTEST_FLAGS=$(PYTEST_FLAGS)'

demo: $(VENV)/.core ## install, then a small sweep of sigma to 0, a small GAN, and both reports
	"$(BIN)/sigmaprop" demo

setup: $(VENV)/.dev ## install with the development tools

test: $(VENV)/.dev ## install, then run the fast tests
	"$(BIN)/pytest" -n 2 --dist worksteal -m "not slow" $(PYTEST_FLAGS)

slow: $(VENV)/.dev ## run the slow tests
	"$(BIN)/pytest" -m slow $(PYTEST_FLAGS)

test-all: $(VENV)/.dev ## run every test
	"$(BIN)/pytest" $(PYTEST_FLAGS)

lint: $(VENV)/.dev ## ruff check, ruff format --check, pyright
	@status=0; \
	"$(BIN)/ruff" check . || status=1; \
	"$(BIN)/ruff" format --check . || status=1; \
	"$(BIN)/pyright" --pythonpath "$(BIN)/python" || status=1; \
	exit $$status

format: $(VENV)/.dev ## let ruff fix and format what it can
	"$(BIN)/ruff" check --fix .
	"$(BIN)/ruff" format .

# The wheel is built from the sdist, so it shows what the sdist forgot and no stale build/ leaks in.
wheel: $(VENV)/.dev ## build the sdist, and the wheel from it, into dist/
	rm -rf dist
	"$(BIN)/python" -m build --outdir dist .

answer: $(VENV)/.core ## write docs/answer.md, docs/answer.html and the README's answer from the results
	"$(BIN)/python" -m sigmaprop.experiments.study.answer

bench: $(VENV)/.core ## time the limit sweep and the estimators on this machine
	"$(BIN)/sigmaprop" bench limit
	"$(BIN)/sigmaprop" bench estimators

# One sentence for each way in which a Python cannot serve.
define check_python
version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || { \
	echo "error: '$(PYTHON)' does not run; install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "error: '$(PYTHON)' is Python $$version, sigmaprop needs 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "error: '$(PYTHON)' has no venv or ensurepip; install them (Debian, Ubuntu: apt install python$$version-venv)" >&2; exit 1; }
endef

# An environment made by another Python would answer for the one that was named.
define check_same
if [ -x "$(BIN)/python" ]; then \
	found=$$("$(BIN)/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || found=broken; \
	[ "$$found" = "$$version" ] || { \
		echo "error: $(VENV) is Python $$found, '$(PYTHON)' is $$version; run 'make distclean', or name another: make VENV=.venv-$$version ..." >&2; exit 1; }; \
fi
endef

same-python:
	@$(check_python); $(check_same)

ifneq ($(origin PYTHON),file)
$(VENV)/.made $(VENV)/.core $(VENV)/.dev: | same-python
endif

$(VENV)/.made:
	@$(check_python); $(check_same)
	"$(PYTHON)" -m venv "$(VENV)"
	@touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml constraints.txt
	@echo 'installing sigmaprop into $(VENV) (about 1.2 GB; one to three minutes the first time)'
	$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	@echo 'installing sigmaprop and the development tools into $(VENV) (about 1.3 GB; one to three minutes the first time)'
	$(INSTALL) -e '.[dev]'
	@touch "$(VENV)/.core" $@

constraints: ## resolve constraints.txt anew (for whoever maintains it)
	@$(check_python)
	"$(PYTHON)" -m venv "$(VENV)-constraints"
	"$(VENV)-constraints/bin/python" -m pip --quiet --disable-pip-version-check install uv
	"$(VENV)-constraints/bin/uv" pip compile --quiet --universal --upgrade --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		pyproject.toml requirements.in --extra dev --extra prepare -o constraints.new
	{ echo '# Made by `make constraints` for Python 3.11 to 3.13; what goes in: pyproject.toml and requirements.in.'; \
		cat constraints.new; } > constraints.txt
	rm -rf constraints.new "$(VENV)-constraints"

clean: ## remove what was built and cached, never runs/ or the environment
	rm -rf build dist sigmaprop.egg-info .pytest_cache .ruff_cache .hypothesis
	find lib experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the environment too
	if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
