# SPDX-License-Identifier: Apache-2.0
# A thin face over the presets of CMakePresets.json. `make` alone lists the targets.
SAN     ?=
PRESET  := $(if $(SAN),$(patsubst address,asan,$(patsubst undefined,ubsan,$(patsubst thread,tsan,$(SAN)))),debug)
JOBS    ?= $(shell nproc)
PREFIX  ?= /usr/local
FUZZ_S  ?= 60
FAULTS  ?= 300
SEED    ?= 1
BACKEND ?= sqlite
JOBS_SHARED ?= 100000
ROUNDS  ?= 3
TRACES  ?= ../shared/data/traces
# Under a sanitizer the first finding ends a program, and everything may take longer. The runtime of gcc 12 takes what lies in front
# of a library's thread-local block for a header of an old glibc: now and then it scans nonsense for leaks, and crashes, or (threads) asks
# for 500 TB. Without its list of such blocks it finds them as it finds other memory, through the thread's own table.
ifneq ($(SAN),)
export BP_TEST_SLOW  ?= 4
export ASAN_OPTIONS  ?= intercept_tls_get_addr=0
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS  ?= halt_on_error=1:intercept_tls_get_addr=0:second_deadlock_stack=1:suppressions=$(CURDIR)/tests/tsan.supp
export LSAN_OPTIONS  ?= suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0
endif
UNIT_JOBS := $(shell echo $$(( $(JOBS) * 2 )))
.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos shared bench bench-scaling compare lint fuzz install format docs clean build coverage

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## build everything (debug; SAN=address|undefined|thread for a sanitizer)
	@scripts/setup build test
	@cmake --preset $(PRESET) >/dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS) -- --quiet

demo: ## the whole system on this machine: photo in, video out (PHOTO=file, KEEP=1 leaves it running)
	@scripts/setup build demo
	@cmake --preset release -DBP_TESTS=OFF >/dev/null
	@cmake --build --preset release -j $(JOBS) -- --quiet
	@scripts/demo build/release

test: build ## every test (SAN=address|undefined|thread for a sanitizer)
	@ctest --test-dir build/$(PRESET) --output-on-failure --no-tests=error -j $(UNIT_JOBS) --quiet -O build/$(PRESET)/ctest.log; \
	  rc=$$?; if [ $$rc != 0 ]; then cat build/$(PRESET)/ctest.log; else grep 'tests passed' build/$(PRESET)/ctest.log; fi; exit $$rc
	@.venv/bin/python -m pytest -q -n $(UNIT_JOBS) --build-dir build/$(PRESET) tests/integration tests/chaos

chaos: build ## kill, cut, fill and stop at random, then prove that nothing was lost or doubled (FAULTS=300 SEED=1 BACKEND=sqlite|mariadb)
	@.venv/bin/python tests/chaos/chaos.py --build-dir build/$(PRESET) --faults $(FAULTS) --seed $(SEED) --backend $(BACKEND)

shared: build ## two controllers, 64 workers, 100,000 jobs on one MariaDB: none is leased to two (JOBS_SHARED=100000)
	@.venv/bin/python tests/chaos/shared.py --build-dir build/$(PRESET) --jobs $(JOBS_SHARED) --seconds 3600

bench: ## measure, side by side (docs/performance.md says what each figure means)
	@scripts/setup build bench
	@cmake --preset release -DBP_TESTS=OFF >/dev/null
	@cmake --build --preset release -j $(JOBS) -- --quiet
	@bench/run build/release

compare: ## bpd beside beanstalkd, Redis, gearmand and a PHP backend: one table (ROUNDS=3)
	@scripts/setup build bench
	@cmake --preset release -DBP_TESTS=OFF >/dev/null
	@cmake --build --preset release -j $(JOBS) -- --quiet
	@bench/compare_run build/release --rounds $(ROUNDS)

bench-scaling: ## every scaling policy on every trace of TRACES, against deployed and the clairvoyant
	@scripts/setup build
	@cmake --preset release -DBP_TESTS=OFF >/dev/null
	@cmake --build --preset release -j $(JOBS) --target bpctl -- --quiet
	@bench/scaling build/release $(TRACES)

lint: ## clang-format, clang-tidy, cppcheck, generated files
	@scripts/setup build test lint
	@cmake --preset debug >/dev/null
	@scripts/lint build/debug

fuzz: ## run every fuzz target for FUZZ_S seconds (60)
	@scripts/setup build test fuzz
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz -j $(JOBS) -- --quiet
	@scripts/fuzz build/fuzz $(FUZZ_S)

coverage: ## test coverage of the unit tests, as a table
	@scripts/setup build test
	@cmake --preset coverage >/dev/null
	@cmake --build --preset coverage -j $(JOBS) -- --quiet
	@ctest --test-dir build/coverage -j $(UNIT_JOBS) --quiet || true
	@scripts/coverage build/coverage

install: ## install below PREFIX (/usr/local), DESTDIR respected
	@scripts/setup build
	@cmake --preset release -DBP_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build --preset release -j $(JOBS) -- --quiet
	@cmake --install build/release

docs: ## write the generated pages again (configuration, commands, events, IAM policies)
	@cmake --build --preset debug -j $(JOBS) --target bpd -- --quiet
	@build/debug/bin/bpd --help-config-markdown > docs/configuration.md
	@scripts/commands --markdown > docs/commands.md
	@scripts/events > docs/events.md
	@scripts/iam

format: ## format the C sources
	@scripts/sources | xargs clang-format -i

clean: ## remove what was built
	rm -rf build demo/out.mp4 demo/timeline.txt demo/state
