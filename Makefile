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

# Panics name their source file. Without the folders of this machine in the names, the same sources give the same
# bytes for everybody. (RUSTFLAGS in the environment would replace these flags.)
reproducible = --locked --config "target.$(1).rustflags=[\
  '--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}/registry/src=/registry',\
  '--remap-path-prefix=$$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$$(rustc -vV | sed -n 's/^commit-hash: //p')']"

.PHONY: wasm
wasm: ## build the filter: target/edge_claims.wasm
	$(call say,the filter)
	cargo build --release --target wasm32-wasip1 --features proxy $(call reproducible,wasm32-wasip1)
	$(call say,remove unused callbacks)
	cargo xtask strip

FORM ?= oci

.PHONY: image
image: wasm ## images of the filter in target/image; IMAGE=registry/name:tag pushes one, FORM=oci|docker|artifact which
	$(call say,the images)
	cargo run --profile tool --package edge-claims-image -- $(if $(IMAGE),--push '$(IMAGE)' --form '$(FORM)')

# Where cargo puts what it builds.
TARGET = $${CARGO_TARGET_DIR:-target}

.PHONY: command
command: ## the operator's command edge-claims, with shell completions and man pages
	$(call say,the command)
	cargo build --release --features cli
	$(call say,completions and man pages)
	@scripts/command-files "$(TARGET)/release/edge-claims" "$(TARGET)"

STATIC_TARGET ?= x86_64-unknown-linux-musl

.PHONY: command-static
command-static: ## the same as a static binary for any Linux (STATIC_TARGET=aarch64-unknown-linux-musl: for ARM)
	@scripts/setup rust
	@scripts/release-tools zig
	$(call say,the static command for $(STATIC_TARGET))
	PATH="$$(scripts/release-tools path zig):$$PATH" cargo zigbuild --release --features cli \
	  --target $(STATIC_TARGET) $(call reproducible,$(STATIC_TARGET))
	@scripts/command-files "$(TARGET)/$(STATIC_TARGET)/release/edge-claims" "$(TARGET)/$(STATIC_TARGET)"

.PHONY: release
release: ## module, command, SBOMs, provenance, checksums in target/dist (MINISIGN_KEY=FILE signs them)
	@[ -z "$$RUSTFLAGS$$CARGO_ENCODED_RUSTFLAGS" ] || { echo "release: unset RUSTFLAGS: they change the module" >&2; exit 1; }
	@scripts/setup rust
	@scripts/release-tools cyclonedx zig $(if $(MINISIGN_KEY),minisign)
	@$(MAKE) --no-print-directory wasm
	@$(MAKE) --no-print-directory command-static STATIC_TARGET=x86_64-unknown-linux-musl
	@$(MAKE) --no-print-directory command-static STATIC_TARGET=aarch64-unknown-linux-musl
	$(call say,the release)
	@scripts/release

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
	  'make test-chain' 'edge → HAProxy → Envoy → FastAPI, and what their logs say together (builds Viceroy and a collector)' \
	  'make test-haproxy' 'HAProxy in front of Envoy and behind it, and routes by claims (unpacks HAProxy)' \
	  'make test-manifests' 'the Istio manifests and the images, with kustomize, Helm and a registry (first run: five minutes to build them)' \
	  'make test-istio' 'the manifests in a real Istio (first run: ten minutes to build Istio and Kubernetes)' \
	  'make test-browser' 'the web page of the command in a real Chromium (installs Chromium)' \
	  'make test-envoy-gateway' 'Envoy Gateway and an Envoy that it configures (first run: builds Envoy Gateway)' \
	  'make test-release' 'the files of a release, and the module built twice (builds tools, downloads Zig)' \
	  'make test-other-host' 'the module in a Proxy-Wasm host on the JVM (needs Java)' \
	  'make test-matrix' 'the end-to-end tests on five versions of Envoy' \
	  'make deny' 'licences and sources of the crates; make advisories: known vulnerabilities' \
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

.PHONY: test-istio
test-istio: setup-tests wasm ## the manifests in a real Istio (first run: ten minutes to build Istio and Kubernetes)
	$(call say,istiod and pilot-agent and a Kubernetes API server)
	@tests/istio/setup
	cargo clippy --package edge-claims-harness --test istio -- -D warnings
	$(call say,the manifests in Istio)
	@tests/istio/run

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
.PHONY: test-chain
test-chain: setup-tests wasm ## edge → HAProxy → Envoy → FastAPI, 2,000 visits, and all logs joined and in one place
	@tests/chain/setup
	$(call say,the whole chain and its logs)
	cargo clippy --package edge-claims-harness --test chain -- -D warnings
	cargo test --package edge-claims-harness --test chain

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
	cargo clippy --package edge-claims-harness --test envoy_gateway -- -D warnings
	cargo test --package edge-claims-harness --test envoy_gateway --no-run
	tests/envoy_gateway/isolated cargo test --offline --package edge-claims-harness --test envoy_gateway -- --test-threads=1
	@tests/envoy_gateway/record-versions
.PHONY: test-manifests
test-manifests: wasm ## the Istio manifests and the images: real kustomize, Helm and registry (first run: builds them)
	$(call say,kustomize\, Helm\, the command\, the images)
	@scripts/setup rust
	cargo test --profile tool --package edge-claims-image
	@tests/manifests/setup
	$(call say,manifests and images)
	cargo clippy --package edge-claims-harness --test manifests -- -D warnings
	cargo test --package edge-claims-harness --test manifests

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
	@# With what `make image` compiles: the dev profile would optimize the client of registries.
	cargo clippy --profile tool --package edge-claims-image --all-targets -- -D warnings
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
	cargo build --release --target wasm32-wasip1 --package edge-claims-vectors $(call reproducible,wasm32-wasip1)
	cargo xtask strip $${CARGO_TARGET_DIR:-target}/wasm32-wasip1/release/edge_claims_vectors.wasm \
	  target/edge_claims_vectors.wasm

.PHONY: e2e
e2e: vectors ## the built module in a real Envoy (needs `make setup-tests wasm`)
	$(call say,end-to-end tests)
	cargo test --package edge-claims-harness

.PHONY: test-matrix
test-matrix: setup-tests wasm vectors ## the end-to-end tests on five versions of Envoy, six minutes each (ENVOY_VERSIONS="1.36.4 …")
	@scripts/matrix

.PHONY: test-other-host
test-other-host: wasm ## the module in a Proxy-Wasm host without verify_signature, on the JVM
	@tests/other-host/setup
	cargo clippy --package edge-claims-harness --test other-host -- -D warnings
	cargo test --package edge-claims-harness --test other-host

.PHONY: test-release
test-release: ## a release with a key for tests, its files, and the module built again by another user
	@scripts/setup rust
	@scripts/release-tools minisign qemu file
	@scripts/go-tool build actionlint
	$(call say,a key for tests)
	minisign -G -W -f -p target/release-test.pub -s target/release-test.key > /dev/null
	@$(MAKE) --no-print-directory release MINISIGN_KEY=target/release-test.key
	$(call say,its files)
	cargo clippy --package edge-claims-harness --test release -- -D warnings
	cargo test --package edge-claims-harness --test release

.PHONY: deny
deny: ## licences, sources and bans of every crate, by cargo-deny (first run: builds it)
	@scripts/release-tools deny
	$(call say,licences and sources of the crates)
	PATH="$$(scripts/release-tools path deny):$$PATH" cargo deny --locked check licenses sources bans
	PATH="$$(scripts/release-tools path deny):$$PATH" cargo deny --locked \
	  --manifest-path examples/fastly-edge/Cargo.toml --config deny.toml check licenses sources bans

.PHONY: advisories
advisories: ## known vulnerabilities in the crates, by cargo-deny (fetches the RustSec database from GitHub)
	@scripts/release-tools deny
	PATH="$$(scripts/release-tools path deny):$$PATH" cargo deny --locked check advisories
	PATH="$$(scripts/release-tools path deny):$$PATH" cargo deny --locked \
	  --manifest-path examples/fastly-edge/Cargo.toml --config deny.toml check advisories

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
