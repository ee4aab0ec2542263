# The only door: `make help` lists every command. Scripts that need rollproof's exit code call `rollproof` itself:
# make turns every failure into 2.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LAB ?= sandbox
TARGET ?= targets/$(if $(filter kind,$(LAB)),lab,sandbox).toml
DRILL ?= all
WORKERS ?= 4
ARGOCD ?=
KUBERNETES ?=
INGRESS ?=
ARGS ?=
AXE := 4.14.1
UNSTEADY ?= 0
STEADY := $(BIN)/python -m tests.unsteady --most $(UNSTEADY)
UNIT = $(STEADY) -p tests.cpu -p no:rollproof -p no:allure_pytest -n $(WORKERS) --dist worksteal
LAB_UP := $(BIN)/python -m lab up $(addprefix --argocd ,$(ARGOCD)) $(addprefix --kubernetes ,$(KUBERNETES)) $(addprefix --ingress ,$(INGRESS))

# Without stored bytecode each process of a test compiles rollproof and its libraries anew: a third of `make test`.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: browser-tools help venv format lint style test test-processes fuzz mutation test-registry test-sandbox test-allure test-readers test-browser gallery truth crash test-kind matrix sandbox lab lab-down lab-status drill smoke chaos plan doctor bench clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make drill LAB=kind                                     on the real lab, which is built first"
	@echo "  make drill LAB=kind ARGOCD=3.5.7                        with that Argo CD (it stays until another is named)"
	@echo "  make drill LAB=kind KUBERNETES=1.36.3                   with that Kubernetes, in a cluster made anew (likewise)"
	@echo "  make drill LAB=kind INGRESS=traefik                     with Traefik in the place of our own ingress (likewise)"
	@echo "  make drill LAB=kind INGRESS=traefik-gateway             the same, with the app behind an HTTPRoute (Gateway API)"
	@echo "  make drill DRILL=rollback TARGET=targets/staging.toml   one drill, another target"

venv: $(READY) ## Python environment with everything in it

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: style ## Style, types, and the direction of imports
	$(BIN)/mypy

style: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

# mypy runs beside the tests: without its cache it takes half a minute, of one core. What it finds is said as soon as it
# is known, and again at the end.
test: style ## Lint and unit tests: no cluster, no root, no processes of their own; 1.5 minutes on 2 idle cores
	@mkdir -p build
	$(BIN)/mypy >build/mypy.txt 2>&1 || { cat build/mypy.txt; false; } & types=$$!; \
	$(UNIT) -m "not processes" -- tests/unit; tests=$$?; \
	wait $$types; types=$$?; cat build/mypy.txt; exit $$((tests ? tests : types))

test-processes: $(READY) ## The unit tests that start git, Python or locust as processes of their own
	$(UNIT) -m processes -- $$(grep -rl --include='test_*.py' 'mark\.processes' tests/unit)

fuzz: $(READY) ## All examples of the properties; run folders, journals and answers bent in every way, seeded: no traceback, no hang, no new PASS (ARGS="folders --seed 8")
	$(BIN)/python -m tests.fuzz $(ARGS)
	ROLLPROOF_DEEP=1 $(BIN)/python -m pytest -p no:rollproof -n $(WORKERS) -m "hypothesis or deep" tests/unit

mutation: $(READY) ## Mutation test of the judging code, not in CI (ARGS="checkers.drift": one module; "--sample 800 --seed 1"): docs/mutation.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[mutation]'
	$(BIN)/python tests/mutation.py $(ARGS)

test-registry: $(READY) ## Every reader of images against a real registry, and the app's pipeline by a real runner (Go modules, built once: 10 min; needs php)
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider -rs --timeout=1800 tests/registry

test-sandbox: $(READY) ## Tests that run the sandbox: its parts, and its API against the conformance list
	$(STEADY) -p no:rollproof -n 2 --timeout=600 -m "not alone" -- tests/sandbox tests/conformance
	$(BIN)/python -m pytest -p no:rollproof --timeout=600 -m alone tests/sandbox

# What either needs is fetched or built once, into the cache, the first time in minutes; all of it together in at most
# ROLLPROOF_FETCH_S seconds. What cannot be had skips the tests that need it, which say so.
test-allure: $(READY) ## The real Allure 3 generator (npm, once from the network) reads two runs and shows the history
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider --timeout=1800 -rs tests/allure

test-readers: $(READY) ## The real readers of what we export: promtool, Grafana's types, Pushgateway, OpenTelemetry collector, actionlint, taplo, Jenkins' JUnit schema (skipped with the reason where one cannot be had)
	@$(BIN)/python -c 'import xmlschema' 2>/dev/null || timeout 120 $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[readers]' || echo "xmlschema could not be installed"
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider -rs --timeout=1800 tests/readers $(ARGS)

# What cannot be fetched is no error here: the tests that need it are skipped, and say so.
browser-tools: $(READY)
	@timeout 180 $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[browser]' || echo "Playwright could not be installed"
	@mkdir -p build/browser
	@test -e build/browser/package/axe.min.js || { cd build/browser && timeout 120 npm pack --silent --fetch-retries 1 axe-core@$(AXE) >/dev/null && tar -xzf axe-core-$(AXE).tgz package/axe.min.js; } || echo "axe-core could not be fetched from npm"

test-browser: browser-tools ## The page in a headless Chromium: console, light, dark, print, 400 px, numbers, keyboard, axe-core (skipped with the reason where there is none)
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider -rs --timeout=600 tests/browser

gallery: browser-tools ## Pictures of four runs' pages for docs/gallery/: PASS, FAIL, INCONCLUSIVE, and one of chaos
	$(BIN)/python -m tests.browser.gallery

truth: $(READY) ## Every defect and sound controls: what must be caught, is it? (LAB=kind: on the lab; ARGS="--write --sound 200": docs/truth.md)
ifeq ($(LAB),kind)
	$(LAB_UP)
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider --timeout=1800 tests/kind/test_truth.py
else
	$(BIN)/python -m tests.truth $(ARGS)
endif

crash: $(READY) ## Kill runs at every journal entry and at 42 moments: does undo put all of it back? (ARGS=--short: a few; LAB=kind: each fault once; LAB=kind ARGS=--left: to its dead-man)
ifeq ($(LAB),kind)
	$(LAB_UP)
	$(BIN)/python -m tests.crash --lab $(ARGS)
else
	$(BIN)/python -m tests.crash $(ARGS)
endif

test-kind: lab ## The conformance list, the whole drill, and known-bad releases, on the lab (ARGS="--share 3 --which 0": a third of the many cases)
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider tests/conformance --against lab
	$(BIN)/python -m pytest -p no:rollproof -p no:cacheprovider --timeout=1800 tests/kind $(ARGS)

matrix: $(READY) ## Release, zero downtime, three drifts and rollback on pairs of Kubernetes and Argo CD, then docs/matrix.md; 7 to 13 minutes a pair, an hour in all, not in CI (ARGS="1.37.2,3.5.7": that pair)
	$(BIN)/python -m tests.matrix $(ARGS)

sandbox: $(READY) ## The embedded target in the foreground: no Docker, no root (DEFECT=NAME: with something wrong)
	$(BIN)/rollproof sandbox $(addprefix --defect ,$(DEFECT))

lab: $(READY) ## Build the lab: kind, Argo CD, git, ingress, database, app (again: seconds)
	$(LAB_UP)

lab-down: $(READY) ## Remove the lab and only that
	$(BIN)/python -m lab down

lab-status: $(READY) ## What of the lab is there
	$(BIN)/python -m lab status

# `rollproof sandbox -- COMMAND` ends with the command's exit code. Any port will do: nothing else has to find them.
drill: $(READY) ## Drills with a verdict, on a sandbox of their own; LAB=kind: on the real lab, which is built first
ifeq ($(TARGET),targets/sandbox.toml)
	$(BIN)/rollproof sandbox --ports auto -- $(BIN)/rollproof run $(DRILL) --target {target}
else
	@if [ "$(TARGET)" = targets/lab.toml ]; then $(LAB_UP); fi
	$(BIN)/rollproof run $(DRILL) --target $(TARGET)
endif

# lab-prod: of the lab's two overlays the one that has an autoscaler.
smoke: $(READY) ## The app as it is set up and as it works, in one run, with a table at the end; LAB=kind: on the real lab
ifeq ($(TARGET),targets/sandbox.toml)
	$(BIN)/rollproof sandbox --ports auto -- $(BIN)/rollproof run smoke --target {target}
else
	@if [ "$(TARGET)" = targets/lab.toml ]; then $(LAB_UP); fi
	$(BIN)/rollproof run smoke --target $(if $(filter targets/lab.toml,$(TARGET)),targets/lab-prod.toml,$(TARGET))
endif

chaos: $(READY) ## Every fault that the target can have, in the safe order, with a table at the end; LAB=kind: on the real lab (ARGS="--only pod-delete": one)
ifeq ($(TARGET),targets/sandbox.toml)
	$(BIN)/rollproof sandbox --ports auto -- $(BIN)/rollproof run chaos $(ARGS) --target {target}
else
	@if [ "$(TARGET)" = targets/lab.toml ]; then $(LAB_UP); fi
	$(BIN)/rollproof run chaos $(ARGS) --target $(TARGET)
endif

plan: $(READY) ## What a drill would change, without changing it
	$(BIN)/rollproof plan $(DRILL) --target $(TARGET)

doctor: $(READY) ## Whether a drill could run
	$(BIN)/rollproof doctor --target $(TARGET)

bench: $(READY) ## Benchmarks of the load engine and of judging
	$(BIN)/python -m bench

clean: ## Remove caches and build outputs of this checkout (not the lab, not reports)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
