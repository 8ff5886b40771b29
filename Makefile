# The front doors of Engram. `make` lists them. CMake does the building (CMakePresets.json).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.ONESHELL:

JOBS ?= $(shell nproc)
RELEASE := build/release
BUILD := cmake --build $(RELEASE) -j $(JOBS) --target

.PHONY: help
help:  ## List these targets
	@echo "Engram: stream observations in, recall them out."
	grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

.PHONY: demo
demo: configure  ## Build, stream a real sample in, recall it, check it, say how fast it was
	@$(BUILD) engramd engram engram-demo
	$(RELEASE)/loadtest/engram-demo $(ARGS)

.PHONY: test
test:  ## Build and run every test; the last line counts them
	@deploy/install-build-dependencies --test
	tests/run --jobs $(JOBS) $(ARGS)

.PHONY: run
run: configure  ## Run the daemon in the foreground (ARGS='--profile low_latency' passes arguments)
	@$(BUILD) engramd
	exec $(RELEASE)/server/engramd $(ARGS)

.PHONY: bench
bench: configure  ## Measure ingest beside a bare gRPC sink, recall, durability and memory (ARGS=--help lists the parts)
	@$(BUILD) engramd engram-loadtest
	$(RELEASE)/loadtest/engram-loadtest $(ARGS)

.PHONY: perf
perf: configure  ## Count instructions of fixed work beside the recorded ones (ARGS=--record records them)
	@deploy/install-build-dependencies --test
	$(BUILD) perf_workloads
	tests/perf/perf_test.py $(ARGS)

.PHONY: build
build: configure  ## Build the daemon, the command line and the load tools into build/release
	@$(BUILD) engramd engram engram-demo engram-loadtest

.PHONY: soak
soak:  ## Run the tests that take long
	@deploy/install-build-dependencies --test
	tests/run --jobs $(JOBS) --soak $(ARGS)

.PHONY: format
format:  ## Lay out the C++ sources by .clang-format
	@command -v clang-format-14 >/dev/null || { echo "clang-format-14 is missing: apt-get install clang-format-14" >&2; exit 69; }
	git ls-files '*.cc' '*.h' | xargs clang-format-14 -i

.PHONY: clean
clean:  ## Remove what was built
	@rm -rf build

.PHONY: configure
configure:
	@deploy/install-build-dependencies
	[[ -f $(RELEASE)/build.ninja ]] || cmake --preset release --log-level=NOTICE
