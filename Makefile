# rnn-watchd. Targets a person types: demo, build, test, install, bench, lint, format. See `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr
DESTDIR ?=
# The import direction of the house is a build error (see Package.swift).
BUILD := --explicit-target-dependency-import-check error
RELEASE := -c release --static-swift-stdlib $(BUILD)
BIN := .build/release

DEPS := libsqlite3-dev libsystemd-dev pkg-config

.PHONY: help deps build debug test demo install lint format clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

deps:  ## install what the build needs from Debian
	@missing=""; for p in $(DEPS); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
	  if [ "$$(id -u)" = 0 ]; then s=""; else s=sudo; fi; \
	  $$s apt-get update -qq; DEBIAN_FRONTEND=noninteractive $$s apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	@command -v swift >/dev/null || { echo "no Swift toolchain: install Swift 6.1 or newer from https://www.swift.org/install/linux/" >&2; exit 1; }

build: deps  ## release binaries, Swift linked statically
	swift build $(RELEASE)

debug: deps
	swift build $(BUILD)

test: deps lint  ## everything that must hold: formatting, import direction, tests
	swift build --build-tests $(BUILD)
	swift test --skip-build
	@$(MAKE) --no-print-directory test-durability

# What must hold of files, kills and disks: the real daemon, python3 of Debian, a C compiler.
DURABILITY_BIN ?= .build/debug
.PHONY: test-durability torture powercut soak bench-durability
test-durability:  ## the short form of what torture does at length (part of test)
	python3 Tests/torture/torture.py $(DURABILITY_BIN) --kills 20
	python3 Tests/torture/torture.py $(DURABILITY_BIN) --kills 10 --shards 2 --reshard --rounds 400
	python3 Tests/torture/damage.py $(DURABILITY_BIN)
	python3 Tests/torture/powercut.py $(DURABILITY_BIN) --cuts 4
	python3 Tests/torture/faults.py $(DURABILITY_BIN)
	python3 Tests/torture/upgrade.py $(DURABILITY_BIN)

KILLS ?= 500
torture: build  ## KILLS (500) kills of the daemon at random moments and failpoints, then power cuts and damage
	python3 Tests/torture/torture.py $(BIN) --kills $(KILLS) --rounds 2500
	python3 Tests/torture/torture.py $(BIN) --kills $$(( $(KILLS) / 4 )) --shards 2 --reshard
	python3 Tests/torture/powercut.py $(BIN) --cuts 40
	python3 Tests/torture/damage.py $(BIN) --flips 200
	python3 Tests/torture/faults.py $(BIN)
	python3 Tests/torture/restart.py $(BIN)

SOAK_MINUTES ?= 15
soak: build  ## 24 h of data at 100x (SOAK_MINUTES of real time): memory flat, file bounded, descriptors constant
	python3 Tests/torture/soak.py $(BIN) --minutes $(SOAK_MINUTES)

bench-durability: build  ## readings a second with the journal against without, per durability level
	python3 Tests/torture/throughput.py $(BIN)

lint:  ## formatting as swift-format has it
	@swift format lint --strict -r -p Sources Tests migrations Package.swift

format:  ## rewrite the sources in the agreed layout
	swift format -i -r -p Sources Tests migrations Package.swift

demo: build  ## the main job on real input: a simulated plant with faults, then this machine's own readings
	@Tests/demo.sh $(BIN)

install: build  ## binaries, units and configuration below $(DESTDIR)
	install -D -m 0755 -s $(BIN)/rnn-watchd $(DESTDIR)$(PREFIX)/bin/rnn-watchd
	install -D -m 0755 -s $(BIN)/rnnctl $(DESTDIR)$(PREFIX)/bin/rnnctl
	install -D -m 0644 etc/rnn-watchd.toml $(DESTDIR)/etc/rnn-watchd/rnn-watchd.toml

clean:
	rm -rf .build out state
