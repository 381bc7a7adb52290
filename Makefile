# `make` prints this menu. Every target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long bench bench-wakeword lint clean

BIN := .venv/bin
export PHONOLOOP_REAL_DATA ?=

help: ## this menu
	@echo "Phonoloop: drop audio in, get better speech models out."
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'
	@echo
	@echo "  CUDA=1 installs the CUDA build of torch; DATA=dir runs the demo on your own recordings."

setup: ## make .venv with everything pinned (CPU torch unless CUDA=1)
	@scripts/setup.sh

demo: setup ## the whole loop on synthesised Vietnamese, or on your recordings: make demo DATA=dir
	@$(BIN)/phonoloop demo --out demo $(if $(DATA),--recordings "$(DATA)")

test: setup ## every check: lint, import contracts, tests
	@EXTRAS=teachers,embedders,wakeword,piper scripts/setup.sh
	@scripts/system_packages.sh
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long" -rs

test-long: setup ## the slow fault and soak runs
	@EXTRAS=teachers,embedders,wakeword,piper scripts/setup.sh
	@scripts/system_packages.sh
	@$(BIN)/python -m pytest -m long -rs --timeout 3600

bench: setup ## measure what the README claims, one JSON line each
	@$(BIN)/python benchmarks/run_all.py

bench-wakeword: setup ## the same for wake words alone, beside openWakeWord
	@EXTRAS=wakeword scripts/setup.sh
	@$(BIN)/python benchmarks/run_all.py bench_wakeword

lint: setup ## ruff and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

clean: ## remove what make made, except demo/
	@rm -rf .venv build dist src/*.egg-info .pytest_cache .hypothesis .ruff_cache
