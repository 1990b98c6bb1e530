# `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
say = @printf '\n== %s\n' "$(1)"

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | sort | \
	  while IFS=$$'\t' read -r name what; do printf '  make %-18s %s\n' "$$name" "$$what"; done

.PHONY: setup
setup: ## what the build and the demo need: the Rust toolchain and Envoy
	@scripts/setup rust envoy

.PHONY: setup-tests
setup-tests: ## what the tests need: the same, token libraries, Prometheus, an OpenID provider, web frameworks
	@scripts/setup rust envoy tokens prometheus oidc
	@tests/frameworks/setup

.PHONY: wasm
wasm: ## build the filter: target/edge_claims.wasm
	$(call say,the filter)
	cargo build --release --target wasm32-wasip1 --features proxy
	$(call say,remove unused callbacks)
	cargo xtask strip

# Where cargo puts what it builds.
TARGET = $${CARGO_TARGET_DIR:-target}

.PHONY: command
command: ## the operator's command edge-claims, with shell completions and man pages
	$(call say,the command)
	cargo build --release --features cli
	$(call say,completions and man pages)
	@scripts/command-files "$(TARGET)/release/edge-claims" "$(TARGET)"

.PHONY: command-static
command-static: ## the same for any Linux on x86-64: a static binary, without a C library of the system
	@scripts/setup musl
	$(call say,the static command)
	CC_x86_64_unknown_linux_musl=musl-gcc cargo build --release --features cli --target x86_64-unknown-linux-musl
	@scripts/command-files "$(TARGET)/x86_64-unknown-linux-musl/release/edge-claims" "$(TARGET)/x86_64-unknown-linux-musl"

.PHONY: demo
demo: setup wasm ## see the filter at work in a real Envoy (KEEP=1 keeps it running)
	$(call say,the demo)
	cargo run --profile tool --package edge-claims-demo

.PHONY: test
test: setup-tests lint doc unit wasm e2e demo ## lints, docs, unit, property and end-to-end tests, the demo
	$(call say,all tests passed; make test does not run)
	@printf '  %-23s  %s\n' \
	  'make test-edge' 'client → the Fastly edge of examples/ → Envoy → upstream (first run: ten minutes to build Viceroy)' \
	  'make test-fastapi' 'the FastAPI service of examples/fastapi behind Envoy (installs its Python packages)' \
	  'make test-haproxy' 'HAProxy in front of Envoy and behind it, and routes by claims (unpacks HAProxy)' \
	  'make test-browser' 'the web page of the command in a real Chromium (installs Chromium)' \
	  'make test-envoy-gateway' 'Envoy Gateway and an Envoy that it configures (first run: builds Envoy Gateway)' \
	  'make fuzz' 'the fuzz targets (needs a nightly toolchain)' \
	  'make bench' 'the benchmarks (needs h2load and wrk)'

.PHONY: test-edge
test-edge: setup-tests wasm ## client → the Fastly edge of examples/ → Envoy → upstream (first run: builds Viceroy)
	$(call say,unit tests of examples/fastly-edge)
	cd examples/fastly-edge && cargo fmt --check && cargo clippy --all-targets --locked -- -D warnings && \
	  cargo clippy --locked --release --bin fastly-edge --target wasm32-wasip1 -- -D warnings && cargo test --locked
	$(call say,end-to-end tests with the edge)
	cargo clippy --package edge-claims-harness --test edge -- -D warnings
	@tests/edge/setup
	cargo test --package edge-claims-harness --test edge

.PHONY: test-browser
test-browser: ## the command's web page in a real Chromium (installs Chromium)
	@scripts/setup rust chromium
	$(call say,the web page in Chromium)
	cargo build --features cli --bin edge-claims
	cargo test --package edge-claims-harness --test browser

.PHONY: test-fastapi
test-fastapi: setup-tests wasm ## the FastAPI service of examples/fastapi, alone and behind Envoy, and its README
	@tests/fastapi/setup
	$(call say,lints and tests of examples/fastapi)
	@python="$$(tests/fastapi/setup path python)" && cd examples/fastapi && export PYTHONDONTWRITEBYTECODE=1 && \
	  $$python -m ruff check . && $$python -m ruff format --check . && $$python -m mypy && $$python -m pytest
	$(call say,the service behind Envoy)
	cargo clippy --package edge-claims-harness --test fastapi -- -D warnings
	cargo test --package edge-claims-harness --test fastapi

.PHONY: test-haproxy
test-haproxy: setup-tests wasm ## HAProxy in front of Envoy and behind it: examples/haproxy, used and attacked
	@tests/haproxy/setup
	$(call say,HAProxy in front of Envoy and behind it)
	cargo clippy --package edge-claims-harness --test haproxy -- -D warnings
	cargo test --package edge-claims-harness --test haproxy
.PHONY: test-envoy-gateway
test-envoy-gateway: setup-tests wasm ## Envoy Gateway and an Envoy that it configures (first run: builds Envoy Gateway)
	$(call say,Envoy Gateway)
	@tests/envoy_gateway/setup
	cargo test --package edge-claims-harness --test envoy_gateway --no-run
	tests/envoy_gateway/isolated cargo test --offline --package edge-claims-harness --test envoy_gateway -- --test-threads=1
	@tests/envoy_gateway/record-versions

.PHONY: lint
lint: ## formatting and clippy, with and without the proxy, for the host and for wasm
	$(call say,formatting)
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo fmt --manifest-path benches/noop/Cargo.toml --check
	$(call say,clippy)
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --features proxy -- -D warnings
	cargo clippy --all-targets --features cli -- -D warnings
	cargo clippy --target wasm32-wasip1 --features proxy -- -D warnings
	cargo clippy --package xtask --package edge-claims-demo --package edge-claims-harness --all-targets -- -D warnings
	cargo clippy --target wasm32-wasip1 --package edge-claims-vectors -- -D warnings
	cargo clippy --target wasm32-wasip1 --manifest-path benches/noop/Cargo.toml --target-dir target/bench/noop \
	  --locked -- -D warnings
	@# A library that does not exist: clippy links nothing, and building the real one needs a C++ compiler.
	CUSTOM_LIBFUZZER_PATH=/none/libFuzzer.a cargo clippy --manifest-path fuzz/Cargo.toml -- -D warnings

.PHONY: doc
doc: ## the documentation, without warnings
	$(call say,documentation)
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --features proxy,cli
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --package edge-claims-harness

.PHONY: unit
unit: ## unit and property tests of the filter, the command and xtask
	$(call say,unit and property tests)
	cargo test --features cli
	cargo test --features proxy --test host
	cargo test --profile tool --package xtask

.PHONY: vectors
vectors: ## build the plugin that passes test vectors to the host: target/edge_claims_vectors.wasm
	cargo build --release --target wasm32-wasip1 --package edge-claims-vectors
	cargo xtask strip $${CARGO_TARGET_DIR:-target}/wasm32-wasip1/release/edge_claims_vectors.wasm \
	  target/edge_claims_vectors.wasm

.PHONY: e2e
e2e: vectors ## the built module in a real Envoy (needs `make setup-tests wasm`)
	$(call say,end-to-end tests)
	cargo test --package edge-claims-harness

FUZZ_SECONDS ?= 60

.PHONY: fuzz
fuzz: ## fuzz paths, tokens, configs and headers, FUZZ_SECONDS each (needs a nightly toolchain)
	@rustup toolchain list | grep -q nightly || { echo "fuzz: run: rustup toolchain install nightly --profile minimal" >&2; exit 1; }
	@cargo fuzz --version > /dev/null 2>&1 || cargo install cargo-fuzz --locked
	@for target in path token config headers; do \
	  mkdir -p fuzz/corpus/$$target; \
	  cargo +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 || exit 1; \
	done

.PHONY: bench
bench: setup wasm ## what the filter costs in a real Envoy, beside the native filters (BENCH_ARGS=--quick)
	@scripts/setup tokens
	@command -v h2load > /dev/null && command -v wrk > /dev/null || \
	  { echo "bench: h2load or wrk is missing; run: apt-get install nghttp2-client wrk"; exit 1; }
	benches/run $(BENCH_ARGS)
