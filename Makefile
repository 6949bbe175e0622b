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
