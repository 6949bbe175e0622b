# rnn-watchd. Targets a person types: demo, build, test, install, deb, test-systemd, bench, lint, format. See `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr
DESTDIR ?=
# The import direction of the house is a build error (see Package.swift).
BUILD := --explicit-target-dependency-import-check error
RELEASE := -c release --static-swift-stdlib $(BUILD)
BIN := .build/release

UNITDIR ?= $(PREFIX)/lib/systemd/system
VERSION := $(shell sed -n 's/.*static let text = "\(.*\)"/\1/p' Sources/Platform/FileOutput.swift)

# apt_install PACKAGES: installs those that are missing.
define apt_install
missing=""; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
if [ -n "$$missing" ]; then echo "installing$$missing"; \
  command -v apt-get >/dev/null || { echo "no apt-get here: install what stands for$$missing by hand, then: make SKIP_APT=1 ..." >&2; exit 1; }; \
  if [ "$$(id -u)" = 0 ]; then s=""; else s=sudo; fi; \
  $$s apt-get update -qq -o Acquire::Retries=3 || echo "apt-get update failed; going on with the lists that are there" >&2; \
  DEBIAN_FRONTEND=noninteractive $$s apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends $$missing >/dev/null; fi
endef
ifdef SKIP_APT
apt_install = :
endif

DEPS := libsqlite3-dev libsystemd-dev libcurl4-openssl-dev libmosquitto-dev pkg-config

.PHONY: help deps build debug test test-allocations bench bench-scale fuzz demo man completions sample check-sample install deb test-systemd lint format clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

deps:  ## install what the build needs from Debian
	@$(call apt_install,$(DEPS))
	@command -v swift >/dev/null || { echo "no Swift toolchain: install Swift 6.2 or newer from https://www.swift.org/install/linux/" >&2; exit 1; }

build: deps  ## release binaries, Swift linked statically
	swift build $(RELEASE) --product rnn-watchd
	swift build $(RELEASE) --product rnnctl
	swift build $(RELEASE) --product rnn-notify

debug: deps
	swift build $(BUILD)

test: deps lint  ## everything that must hold: formatting, import direction, tests
	@$(call apt_install,python3 gcc libc6-dev)
	swift build --build-tests $(BUILD)
	swift test --skip-build 2>&1 | cut -c 1-300
	@$(MAKE) --no-print-directory test-durability
	@$(MAKE) --no-print-directory test-allocations

test-allocations: deps  ## the hot path in release form makes no allocation per reading (part of test)
	swift build $(RELEASE) --product rnn-bench
	$(BIN)/rnn-bench allocations

# A build of its own; the programs that CommandTests and ModelCommandTests run are not instrumented.
ASAN_SUITES := LineFormatsTests|ReadingsTests|IngestTests|StoreTests|PlatformTests|ControlTests|DurabilityTests|ModelFilesTests|RecurrentNetworkTests|AlertingTests|TimeSeriesTests|TabularTests|ConfigurationTests|DetectionTests.KernelTests|DetectionTests.LawTests
.PHONY: test-sanitizers
test-sanitizers: deps  ## parsers, intake, store, kernels and the C targets under AddressSanitizer (docs/SECURITY.md says what it cannot see)
	swift build --build-tests --sanitize=address --scratch-path .build/asan $(BUILD)
	ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:abort_on_error=1 swift test --skip-build --sanitize=address --scratch-path .build/asan --filter '$(ASAN_SUITES)' 2>&1 | cut -c 1-300

ROUNDS ?= 5
bench: deps  ## speed of every stage, each beside a reference of the same run; writes the tables of docs/BENCHMARKS.md
	swift build $(RELEASE) --product rnn-bench
	swift build $(RELEASE) --product rnn-watchd
	swift build $(RELEASE) --product rnn-bench-model
	$(BIN)/rnn-bench --rounds $(ROUNDS) --docs docs/BENCHMARKS.md
	$(BIN)/rnn-bench-model

CORPORA ?=
.PHONY: bench-quality
bench-quality: deps  ## false alarms asked against realised, and what each piece is worth, into docs/DETECTION.md; CORPORA="DIR..." for recorded series
	swift build $(RELEASE) --product rnn-quality
	$(BIN)/rnn-quality --families "" --seeds 6
	$(BIN)/rnn-quality --pieces --write docs/DETECTION.md
	[ -z "$(CORPORA)" ] || $(BIN)/rnn-quality --ablation --seeds 2 --write docs/DETECTION.md $(CORPORA)
	$(BIN)/rnn-quality --budget 20 --write docs/DETECTION.md $(CORPORA)

bench-scale: deps  ## a hundred thousand and a million streams in one daemon (8 GB of memory, 10 GB of disk in /tmp)
	swift build $(RELEASE) --product rnn-bench
	swift build $(RELEASE) --product rnn-watchd
	$(BIN)/rnn-bench scale --docs docs/BENCHMARKS.md

fuzz: deps  ## libFuzzer over every parser, SECONDS each (default 600)
	Tests/Fuzz/run.sh $${SECONDS_EACH:-600}

# What must hold of files, kills and disks: the real daemon, python3 of Debian, a C compiler.
DURABILITY_BIN ?= .build/debug
.PHONY: test-durability torture load soak bench-durability
test-durability:  ## the short form of what torture does at length (part of test)
	python3 Tests/torture/torture.py $(DURABILITY_BIN) --kills 20
	python3 Tests/torture/torture.py $(DURABILITY_BIN) --kills 10 --shards 2 --reshard --rounds 800
	python3 Tests/torture/people.py $(DURABILITY_BIN) --kills 10 --rounds 700 --pieces 36 --seed 7
	python3 Tests/torture/notify.py $(DURABILITY_BIN) --kills 8 --seed 4
	python3 Tests/torture/damage.py $(DURABILITY_BIN)
	python3 Tests/torture/powercut.py $(DURABILITY_BIN) --cuts 4
	python3 Tests/torture/faults.py $(DURABILITY_BIN)
	python3 Tests/torture/send.py $(DURABILITY_BIN)
	python3 Tests/torture/clock.py $(DURABILITY_BIN)
	python3 Tests/torture/upgrade.py $(DURABILITY_BIN)

KILLS ?= 500
torture: build  ## KILLS (500) kills of the daemon at random moments and failpoints, then power cuts and damage
	python3 Tests/torture/torture.py $(BIN) --kills $(KILLS) --rounds 2500
	python3 Tests/torture/torture.py $(BIN) --kills $$(( $(KILLS) / 4 )) --shards 2 --reshard
	python3 Tests/torture/people.py $(BIN) --kills $$(( $(KILLS) / 2 )) --rounds 5000 --pieces 288
	python3 Tests/torture/powercut.py $(BIN) --cuts 40
	python3 Tests/torture/damage.py $(BIN) --flips 200
	python3 Tests/torture/faults.py $(BIN)
	python3 Tests/torture/restart.py $(BIN)

LOAD_LINES ?= 10000000
load: build  ## LOAD_LINES (10 million) lines of 1,000 streams through the socket: each counted under its own heading, memory flat
	python3 Tests/torture/load.py $(BIN) --lines $(LOAD_LINES)

SOAK_MINUTES ?= 14.4
soak: build  ## 24 h of data at 100x (SOAK_MINUTES, 14.4, of real time): memory flat, file bounded, descriptors constant
	python3 Tests/torture/soak.py $(BIN) --minutes $(SOAK_MINUTES)

bench-durability: build  ## readings a second with the journal against without, per durability level
	python3 Tests/torture/throughput.py $(BIN)

lint:  ## formatting as swift-format has it, no figure still to be filled in
	@swift format lint --strict -r -p Sources Tests migrations Package.swift
	@! grep -nE '^[A-Z_]{4,}$$|\b(TODO|TBD|FIXME)\b' *.md docs/*.md

format:  ## rewrite the sources in the agreed layout
	swift format -i -r -p Sources Tests migrations Package.swift

demo: build  ## the main job on real input: a simulated plant with faults, then this machine's own readings
	@Tests/demo.sh $(BIN)

man: build  ## manual pages from the option and key definitions, into out/man
	@$(call apt_install,perl)
	@mkdir -p out/man
	$(BIN)/rnn-watchd --experimental-dump-help | docs/man/man-page.pl 8 > out/man/rnn-watchd.8
	$(BIN)/rnnctl --experimental-dump-help | docs/man/man-page.pl 1 > out/man/rnnctl.1
	$(BIN)/rnn-notify --experimental-dump-help | docs/man/man-page.pl 8 > out/man/rnn-notify.8
	$(BIN)/rnn-watchd --print-config-man > out/man/rnn-watchd.toml.5

completions: build  ## completions for bash, zsh and fish, into out/completions
	@mkdir -p out/completions
	for p in rnn-watchd rnnctl rnn-notify; do for s in bash zsh fish; do $(BIN)/$$p --generate-completion-script $$s | sed '1{/^#!\/bin\/bash/d}' > out/completions/$$p.$$s; done; done

check-sample: build  ## etc/rnn-watchd.toml is what the list of keys says
	$(BIN)/rnn-watchd --print-config | diff -u etc/rnn-watchd.toml - || { echo "run: make sample" >&2; exit 1; }

sample: build  ## write etc/rnn-watchd.toml from the list of keys
	$(BIN)/rnn-watchd --print-config > etc/rnn-watchd.toml

install: build man completions check-sample  ## programs, units, manual, completions and configuration below $(DESTDIR)
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(BIN)/rnn-watchd $(BIN)/rnnctl
	strip $(DESTDIR)$(PREFIX)/bin/rnn-watchd $(DESTDIR)$(PREFIX)/bin/rnnctl
	@for limit in rnn-watchd:22000000 rnnctl:25000000; do p=$${limit%:*}; size=$$(stat -c %s $(DESTDIR)$(PREFIX)/bin/$$p); \
	  [ $$size -lt $${limit#*:} ] || { echo "$$p has $$size bytes, expected less than $${limit#*:}: does something pull in Foundation? (see Package.swift)" >&2; exit 1; }; done
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) systemd/rnn-watchd.service systemd/rnn-watchd.socket systemd/rnn-watchd-control.socket
	install -D -m 0644 systemd/rnn-watchd.sysusers $(DESTDIR)/usr/lib/sysusers.d/rnn-watchd.conf
	install -D -m 0644 -t $(DESTDIR)/usr/lib/systemd/catalog systemd/rnn-watchd.catalog
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 out/man/rnn-watchd.8
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 out/man/rnnctl.1
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 out/man/rnn-watchd.toml.5
	for p in rnn-watchd rnnctl; do \
	  install -D -m 0644 out/completions/$$p.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p; \
	  install -D -m 0644 out/completions/$$p.zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_$$p; \
	  install -D -m 0644 out/completions/$$p.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish; done
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/rnn-watchd/examples systemd/notify-reload/50-notify-reload.conf
	install -D -m 0644 etc/rnn-watchd.toml $(DESTDIR)/etc/rnn-watchd/rnn-watchd.toml

.PHONY: install-notify
install-notify: build man completions  ## rnn-notify with unit, manual, completions and configuration below $(DESTDIR)
	$(BIN)/rnn-notify --check --config etc/rnn-notify.toml
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(BIN)/rnn-notify
	strip $(DESTDIR)$(PREFIX)/bin/rnn-notify
	@size=$$(stat -c %s $(DESTDIR)$(PREFIX)/bin/rnn-notify); \
	  [ $$size -lt 20000000 ] || { echo "rnn-notify has $$size bytes, expected less than 20000000: does something pull in Foundation?" >&2; exit 1; }
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) systemd/rnn-notify.service
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 out/man/rnn-notify.8
	install -D -m 0644 out/completions/rnn-notify.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rnn-notify
	install -D -m 0644 out/completions/rnn-notify.zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_rnn-notify
	install -D -m 0644 out/completions/rnn-notify.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rnn-notify.fish
	install -D -m 0644 etc/rnn-notify.toml $(DESTDIR)/etc/rnn-watchd/rnn-notify.toml

# The files of dpkg-buildpackage stay in out, not beside the source tree.
PACKAGE = out/rnn-watchd_$(VERSION)_$$(dpkg --print-architecture)
NOTIFY_PACKAGE = out/rnn-watchd-notify_$(VERSION)_$$(dpkg --print-architecture)
deb: deps build  ## the Debian package, into out; fails on what lintian calls an error or a warning
	@$(call apt_install,debhelper lintian fakeroot dpkg-dev man-db perl)
	@grep -q '^rnn-watchd ($(VERSION))' debian/changelog || { echo "debian/changelog is not at version $(VERSION)" >&2; exit 1; }
	@mkdir -p out
	DEB_DESTDIR=$(CURDIR)/out dpkg-buildpackage -b -us -uc -nc -tc --no-pre-clean \
	  --buildinfo-file=$(PACKAGE).buildinfo --buildinfo-option=-u$(CURDIR)/out --changes-file=$(PACKAGE).changes --changes-option=-u$(CURDIR)/out
	lintian --allow-root --fail-on error,warning $(PACKAGE).deb $(NOTIFY_PACKAGE).deb
	@ls -l $(PACKAGE).deb $(NOTIFY_PACKAGE).deb

test-systemd: deb  ## the package in a booted Debian: real systemd, collectd, rsyslog, mosquitto, node_exporter (needs root)
	@$(call apt_install,systemd-container dbus mmdebstrap)
	Tests/systemd/run.sh $(PACKAGE).deb $(NOTIFY_PACKAGE).deb

GATEWAY := gateway/.build/release/rnn-gateway
GATEWAY_DEPS := libsystemd-dev libmosquitto-dev zlib1g-dev pkg-config
GATEWAY_RELEASE := -c release --static-swift-stdlib --package-path gateway
.PHONY: gateway test-gateway test-gateway-senders man-gateway install-gateway deb-gateway demo-page bench-gateway
gateway:  ## the network gateway and its page, into gateway/.build/release (a package of its own)
	@$(call apt_install,$(GATEWAY_DEPS))
	swift build $(GATEWAY_RELEASE) --product rnn-gateway

test-gateway:  ## what must hold of the gateway without a port, and its layout
	@$(call apt_install,$(GATEWAY_DEPS))
	@swift format lint --strict -r -p gateway/Sources gateway/Tests gateway/Package.swift
	swift build --package-path gateway --build-tests
	swift test --package-path gateway --skip-build 2>&1 | cut -c 1-300

SENDERS := out/senders
GATEWAY_TESTED ?= gateway/.build/debug/rnn-gateway
test-gateway-senders: build test-gateway  ## real senders against it while both programs are killed; hostile ones; /api by schemathesis
	@$(call apt_install,python3-venv prometheus collectd-core libyajl2 mosquitto mosquitto-clients)
	@[ -x $(SENDERS)/bin/schemathesis ] || { python3 -m venv $(SENDERS) && $(SENDERS)/bin/pip install -q -r gateway/Tests/senders/requirements.txt; }
	$(SENDERS)/bin/python gateway/Tests/senders/senders.py $(BIN)/rnn-watchd $(GATEWAY_TESTED)
	$(SENDERS)/bin/python gateway/Tests/senders/hostile.py $(BIN)/rnn-watchd $(GATEWAY_TESTED)
	$(SENDERS)/bin/python gateway/Tests/senders/api.py $(BIN)/rnn-watchd $(GATEWAY_TESTED) $(BIN)/rnnctl

bench-gateway: build gateway  ## readings a second and processor time of the gateway by protocol
	@[ -x $(SENDERS)/bin/schemathesis ] || { python3 -m venv $(SENDERS) && $(SENDERS)/bin/pip install -q -r gateway/Tests/senders/requirements.txt; }
	$(SENDERS)/bin/python gateway/Tests/senders/load.py $(BIN)/rnn-watchd $(GATEWAY)

man-gateway: gateway
	@$(call apt_install,perl)
	@mkdir -p out/man
	$(GATEWAY) --experimental-dump-help | docs/man/man-page.pl 8 > out/man/rnn-gateway.8

install-gateway: gateway man-gateway  ## the gateway with its unit, manual and configuration below $(DESTDIR)
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(GATEWAY)
	strip $(DESTDIR)$(PREFIX)/bin/rnn-gateway
	@size=$$(stat -c %s $(DESTDIR)$(PREFIX)/bin/rnn-gateway); [ $$size -lt 30000000 ] || { echo "rnn-gateway has $$size bytes, expected less than 30000000" >&2; exit 1; }
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) systemd/rnn-gateway.service systemd/rnn-gateway.socket
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 out/man/rnn-gateway.8
	install -D -m 0644 etc/rnn-gateway.toml $(DESTDIR)/etc/rnn-watchd/rnn-gateway.toml

GATEWAY_PACKAGE = $(CURDIR)/out/rnn-watchd-gateway_$(VERSION)_$$(dpkg --print-architecture)
deb-gateway: gateway  ## the Debian package of the gateway, into out
	@$(call apt_install,debhelper lintian fakeroot dpkg-dev man-db perl)
	@mkdir -p out
	cd gateway && DEB_DESTDIR=$(CURDIR)/out dpkg-buildpackage -b -us -uc -nc -tc --no-pre-clean -d \
	  --buildinfo-file=$(GATEWAY_PACKAGE).buildinfo --buildinfo-option=-u$(CURDIR)/out --changes-file=$(GATEWAY_PACKAGE).changes --changes-option=-u$(CURDIR)/out
	lintian --allow-root --fail-on error $(GATEWAY_PACKAGE).deb
	@ls -l $(GATEWAY_PACKAGE).deb

demo-page: build gateway  ## the simulated plant live on the page: http://127.0.0.1:8087
	@gateway/Tests/demo-page.sh $(BIN) $(GATEWAY)

clean:
	rm -rf gateway/.build .build out state
