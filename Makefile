# Each target makes or reuses .venv (or .venv-hosts, .venv-oldest, .venv-dist) and installs only what it needs,
# once per change of pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
ALIAS ?= latest
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' styleaug/__init__.py)

# No look for newer versions at import; no banner about MkDocs 2, which the docs' theme does not use.
export NO_ALBUMENTATIONS_UPDATE := 1
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-hosts test-oldest test-pages test-all fuzz check page docs docs-deploy \
	package smoke dist

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: .venv/.demo ## Restyle real images, train without and with it, report the gain (DATA=dir: your classes)
	$(BIN)/python -m benchmarks.demo $(if $(DATA),--data "$(DATA)")

test: .venv/.dev ## Run the tests, except the slow ones, and measure coverage
	$(BIN)/python -m pytest -m "not slow" --cov

test-hosts: .venv-hosts/.ready ## Run the tests of host frameworks with AlbumentationsX, Ultralytics, anomalib, ...
	.venv-hosts/bin/python -m pytest tests/hosts -m "not slow"

test-oldest: .venv-oldest/.ready ## Run the tests of the core with the oldest versions that are admitted
	.venv-oldest/bin/python -m pytest -m "not slow" -W ignore::DeprecationWarning tests/stages tests/augment \
		tests/readers $(patsubst %,tests/test_%.py,cached checks color contracts features fused guided \
		images losses metrics noise norm outputs pack resample runtime statistics stylenet untrusted weights)

test-pages: .venv/.dev page docs/styles/sheets/.ready ## Run the tests of the pages "Try it" and "Styles" in Chromium
	$(BIN)/python -m pytest tests/pages

test-all: .venv/.dev .venv-hosts/.ready ## Run all tests, slow ones too, and measure coverage
	$(BIN)/python -m pytest --cov
	.venv-hosts/bin/python -m pytest tests/hosts

fuzz: .venv/.dev ## Run the tests with random input on ten thousand examples each: half an hour
	FUZZ_PROFILE=long $(BIN)/python -m pytest tests/fuzz -o faulthandler_timeout=0

check: .venv/.dev ## Check format, lint, types, spelling, workflows and documentation
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/mkdocs build --strict

page: docs/try/vendor/.ready docs/try/model/.ready ## Make what the page "Try it" loads: needs npm

docs: .venv/.docs page docs/styles/sheets/.ready ## Build the documentation into site/ (OFFLINE=true: to be read from files, without a server)
	$(BIN)/mkdocs build --strict

docs-deploy: .venv/.docs page docs/styles/sheets/.ready ## Commit the documentation of this version to the branch gh-pages (ALIAS=latest)
	DOCS_VERSIONS=mike $(BIN)/mike deploy --update-aliases $(VERSION) $(ALIAS)

package: .venv-dist/.ready ## Build the wheel and the source distribution into dist/, and check what they hold
	rm -rf dist
	.venv-dist/bin/python -m build
	.venv-dist/bin/python -m twine check --strict dist/*
	.venv-dist/bin/python tests/wheel/contents.py dist

smoke: ## Install the wheel of dist/ into an empty environment, and run it there (PYTHON=python3.13)
	folder=$$(mktemp -d) && trap "rm -rf $$folder" EXIT && $(PYTHON) -m venv $$folder/venv && \
		$$folder/venv/bin/python -m pip install --quiet dist/*.whl && cp tests/wheel/smoke.py $$folder && \
		cd $$folder && venv/bin/python smoke.py

dist: package ## Build both distributions, check them, and run the wheel in an empty environment
	@$(MAKE) --no-print-directory smoke

# ONNX Runtime for WebAssembly, of which three files are needed.
docs/try/vendor/.ready: docs/try/package-lock.json
	@command -v npm >/dev/null || { \
		echo "The page \"Try it\" needs npm, which comes with Node.js, to fetch ONNX Runtime: install it." >&2; exit 1; }
	cd docs/try && npm ci --ignore-scripts --no-audit --no-fund
	mkdir -p $(@D)
	cd docs/try/node_modules/onnxruntime-web/dist && cp ort.wasm.min.mjs ort-wasm-simd-threaded.mjs \
		ort-wasm-simd-threaded.wasm $(abspath $(@D))
	rm -rf docs/try/node_modules
	@touch $@

docs/try/model/.ready: pretrained/fast/pack.safetensors pretrained/vgg16/vgg16.safetensors \
		benchmarks/docs/page.py benchmarks/docs/scenes.py $(wildcard styleaug/export/*.py) | .venv/.dev
	rm -rf build/page
	$(BIN)/python -m styleaug export fast --out build/page --int8
	$(BIN)/python -m benchmarks.docs.page build/page
	rm -rf build/page
	@touch $@

# The page "Styles" shows every style of the default pack.
docs/styles/sheets/.ready: pretrained/fast/pack.safetensors benchmarks/docs/styles.py \
		benchmarks/docs/scenes.py | .venv/.dev
	$(BIN)/python -m benchmarks.docs.styles
	@touch $@

# opencv-python needs libGL, which servers lack; the headless build replaces its files.
define headless_opencv
	@if $(1)/python -m pip show -qq opencv-python 2>/dev/null && ! $(1)/python -c "import cv2" 2>/dev/null; then \
		$(1)/python -m pip install --force-reinstall --no-deps opencv-python-headless; \
	fi
endef

# The stamp of an extra: .venv/.demo says that `pip install -e .[demo]` has been done.
.venv/.%: pyproject.toml | .venv/bin/pip
	@echo "Installing styleaug[$*] into .venv; torch is large, so the first time takes minutes."
	$(BIN)/python -m pip install -e ".[$*]"
	$(call headless_opencv,$(BIN))
	@touch $@

# The two lines of Albumentations share a name, so AlbumentationsX and what goes with it live apart.
.venv-hosts/.ready: pyproject.toml tests/hosts/requirements.txt | .venv-hosts/bin/pip
	@echo "Installing the host frameworks into .venv-hosts; the first time takes minutes."
	.venv-hosts/bin/python -m pip install -e . -r tests/hosts/requirements.txt
	$(call headless_opencv,.venv-hosts/bin)
	@touch $@

.venv-oldest/.ready: tests/oldest.txt | .venv-oldest/bin/pip
	@echo "Installing the oldest versions into .venv-oldest; the first time takes minutes."
	.venv-oldest/bin/python -m pip install -r tests/oldest.txt
	.venv-oldest/bin/python -m pip install -e . --no-deps
	@touch $@

.venv-dist/.ready: | .venv-dist/bin/pip
	.venv-dist/bin/python -m pip install "build>=1.2" "twine>=6.1"
	@touch $@

.venv/bin/pip .venv-hosts/bin/pip .venv-oldest/bin/pip .venv-dist/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "styleaug needs Python 3.10 or newer, but $(PYTHON) is: $$($(PYTHON) -V 2>&1)." >&2; \
		echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(@:/bin/pip=)
