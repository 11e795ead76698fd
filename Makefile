# What to type. Everything else is called from here.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Tests, demo and benchmark make network namespaces: they run as root, by sudo if need be.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E env PATH="$(PATH)")
TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
ifneq ($(AS_ROOT),)
export CARGO_TARGET_$(TRIPLE)_RUNNER := $(AS_ROOT)
endif

.PHONY: help setup build demo test bench docs fmt lint unit guard system fuzz clean

help: ## print this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

setup: ## install what is missing (Debian 12)
	@tools/setup

build: setup ## build the binaries: target/release/{switchd,vsctl,ofctl}
	cargo build --release --locked

demo: build ## three sites, one LAN: build the topology, show it, clean up
	$(AS_ROOT) demo/run

test: lint unit guard system ## all checks: format, lints, unit and system tests, what forwarding costs

fmt: ## format the sources
	cargo fmt

lint: setup
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: setup
	cargo test --workspace --locked

guard: setup ## the packet path takes no memory, and no more instructions than bench/instructions.txt allows
	cargo test --release --locked -p datapath --test alloc
	bench/instructions

system: build
	$(AS_ROOT) .venv/bin/pytest -q tests/system bench

docs: ## write the pages of docs/reference from the tables of the code
	TSUNAGI_WRITE_DOCS=1 cargo test --locked -q -p house --test reference

bench: build ## compare with Open vSwitch with DPDK on this machine (ROWS=l3,vxlan: some; JSON=FILE: keep the figures)
	$(AS_ROOT) bench/run $(if $(ROWS),--rows $(ROWS)) $(if $(JSON),--json $(JSON)) $(BENCH)

fuzz: setup ## throw noise at every parser, longer than `make test` does
	PROPTEST_CASES=100000 cargo test --workspace --locked --release -- noise mutant

clean: ## remove what was built
	rm -rf target .venv .linux .cache
