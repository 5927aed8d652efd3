# What a person does with this repository: `make demo` to see it, `make test` to trust it.
# Needs Rust (rustup's stable with rustfmt and clippy), Python 3 and, for the demo, curl if there is one. No root.

# In CI a lock file that does not fit is an error; at home it is brought up to date.
LOCKED := $(if $(CI),--locked)
# What releases have and a plain build has not.
FEATURES := --features customs/parquet
BUILT := $(or $(CARGO_TARGET_DIR),target)
WEEK ?= $(BUILT)/week
# Programs that write data, tables and plots of the benchmarks into docs/; they need no server.
DRAW := cargo run $(LOCKED) --quiet --package customs-test-support --features plots --example

.PHONY: help demo test fuzz durability soak soak-picture simulate-fleet plots bench week tools format lint crates-alone manifests mesh monitoring dashboard docs book reference msrv deny release-lint release-dry-run

help:
	@echo "make demo          play the scenario on a real Envoy (KEEP=1 leaves it running, TLS=1 uses mutual TLS to customs)"
	@echo "make test          everything: formatting, lints, all tests (real Envoy, real grpcurl), the manifests"
	@echo "make fuzz          search for inputs that break what must hold (TARGET=host RUNS=10000000; needs a C++ compiler)"
	@echo "make durability    the audit log at full size: a million checks, two hundred kills (CHECKS=10000 KILLS=5)"
	@echo "make soak          faults and abuse in the long form: an hour of mixed load, twenty restarts (SOAK_SECONDS=60 RESTARTS=3 ABUSE_SECONDS=2)"
	@echo "make soak-picture  draw the last ten minutes of the newest mixed load into docs/"
	@echo "make simulate-fleet  waits and policy changes in a large fleet (seeded), with their tables and plots in docs/"
	@echo "make plots         draw the plots and tables of the benchmarks again from docs/benchmarks, without measuring"
	@echo "make bench         what serving costs, against always-allow servers and Envoy's own RBAC (BENCH=--quick; PUBLISH=1)"
	@echo "make week          the tools for the audit log on the log of a week (WEEK=target/week CROSSINGS=100000 ONLY=stats)"
	@echo "make mesh          the scenario on the real istiod, API server and Envoys (PARTS=\"scenario\"; needs Go once, for about half an hour)"
	@echo "make monitoring    the alerts, their tests, runbooks and dashboard, with the real promtool"
	@echo "make dashboard     ask a real Prometheus every query of the dashboard and the alerts (PICTURE=1 draws it into docs/)"
	@echo "make msrv          build with the oldest Rust that Cargo.toml allows"
	@echo "make deny          check licences, advisories and sources of dependencies (CHECKS=\"bans licenses sources\" needs no network)"
	@echo "make docs          build the book into target/book, and the documentation of the code; follow the links"
	@echo "make reference     write the generated pages of docs/reference (tables of policies, settings, commands and so on)"
	@echo "make release-dry-run  do all of a release but publishing, and list what it made (REBUILD=1 builds twice and compares)"
	@echo "make tools         install what is missing into .tools/ and say where Envoy and the other tools are"
	@echo
	@echo "ENVOY=/path, GRPCURL=/path, ROTEL=/path and H2LOAD=/path use a binary that you have."

demo:
	@deploy/local/install-tools envoy grpcurl
	cargo build $(LOCKED) --release --bin customs --example demo
	@$(BUILT)/release/examples/demo $(if $(KEEP),--keep) $(if $(TLS),--tls) $(BUILT)/release/customs

test: format lint crates-alone manifests release-lint book tools
	cargo test $(LOCKED) --workspace $(FEATURES)
	@deploy/monitoring/check $(BUILT)/debug/customs
	@deploy/monitoring/check --self-test $(BUILT)/debug/customs

# A search, which takes as long as it is let; what searches have found is replayed by `make test`.
fuzz:
	@fuzz/run "$(TARGET)" $(RUNS)

# The record under load at full size: a million checks, twice, and two hundred kills.
durability:
	CUSTOMS_DURABILITY_CHECKS=$(or $(CHECKS),1000000) CUSTOMS_DURABILITY_KILLS=$(or $(KILLS),200) \
		cargo test $(LOCKED) --release --test durability -- --nocapture --test-threads=1

# Faults and abuse in their long form, one after the other: about an hour and a half. tests/faults/main.rs says what they show.
# The table of the mixed load is written to target/tmp/soak.csv.
soak:
	@deploy/local/install-tools envoy
	ulimit -n $$(ulimit -Hn) && \
		CUSTOMS_SOAK_SECONDS=$(or $(SOAK_SECONDS),3600) CUSTOMS_FAULTS_RESTARTS=$(or $(RESTARTS),20) \
		CUSTOMS_FAULTS_RATE=$(or $(RATE),1000) CUSTOMS_FAULTS_ABUSE=$(or $(ABUSE_SECONDS),10) \
		CUSTOMS_FAULTS_CONNECTIONS=$(or $(CONNECTIONS),2000) \
		cargo test $(LOCKED) --release --test faults -- --nocapture --test-threads=1

# From the table of the newest mixed load, in whichever form it ran.
soak-picture:
	$(DRAW) draw-plots -- --soak $(BUILT)/tmp/soak.csv

# Seeded, so it writes the same data until the model changes. Five minutes.
simulate-fleet:
	$(DRAW) simulate-fleet

plots:
	$(DRAW) draw-plots

# Takes about half an hour by default; BENCH="cpu --rounds 5 --checks 50000" chooses parts and sizes, BENCH=--help says which.
# PUBLISH=1 puts data, tables and plots into docs/.
bench:
	@deploy/local/install-tools envoy h2load
	cargo bench $(LOCKED) --bench serving -- $(BENCH) $(if $(PUBLISH),--publish)

# Alerts, their tests, runbooks and dashboard, with the real promtool; no Prometheus runs.
monitoring:
	@cargo build $(LOCKED) --bin customs
	@deploy/monitoring/check $(BUILT)/debug/customs
	@deploy/monitoring/check --self-test $(BUILT)/debug/customs

# A real Prometheus scrapes customs under load, and is asked every query of the dashboard and of the alerts: three minutes.
# PICTURE=1 takes ten, and draws the dashboard into docs/.
dashboard:
	cargo build $(LOCKED) --release --bin customs
	@tests/monitoring/run $(BUILT)/release/customs $(if $(PICTURE),--seconds 540 --picture docs/monitoring/dashboard.png)

# The audit log of a week, made once, and then read by every tool: WEEK is its directory, CROSSINGS its size. Ten million
# crossings take 1.5 GB compressed, and some minutes to make. `ONLY="stats verify"` chooses commands.
week:
	@test -e $(WEEK)/week.json || cargo bench $(LOCKED) $(FEATURES) --bench week -- make $(WEEK) --crossings $(or $(CROSSINGS),10000000) --gzip
	cargo bench $(LOCKED) $(FEATURES) --bench week -- measure $(WEEK) $(ONLY)

# Prints one line for each tool, so that the output of a test run names what it ran against.
tools:
	@deploy/local/install-tools

format:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

lint:
	cargo clippy $(LOCKED) --workspace --all-targets $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --quiet $(FEATURES) --workspace --no-deps --document-private-items

# Each crate must build alone, with no more than its own manifest asks for. Tests turn every feature of customs-audit on, so
# its library is built without features and with each of them as well. So is the program without `parquet`.
crates-alone:
	@for crate in crates/*/; do \
		cargo check $(LOCKED) --quiet --all-targets --package customs-$$(basename $$crate) || exit 1; \
	done
	cargo check $(LOCKED) --quiet --package customs-audit
	cargo check $(LOCKED) --quiet --package customs-audit --features tokio
	cargo check $(LOCKED) --quiet --package customs-audit --features network-sinks
	cargo check $(LOCKED) --quiet --package customs-tls --features client-stream
	cargo check $(LOCKED) --quiet --package customs --all-targets

# The objects of deploy/: then each of the checks is seen to report a fault.
manifests:
	@deploy/istio/validate
	@deploy/istio/validate --self-test

# The parts and what they show: tests/mesh/run --list. The transcript is in target/mesh/transcript.txt.
mesh:
	$(if $(CUSTOMS),,cargo build $(LOCKED) --release --bin customs)
	@CUSTOMS="$(or $(CUSTOMS),$(BUILT)/release/customs)" tests/mesh/run $(PARTS)

# With the toolchain in use if it is the oldest one, else with the one that rustup calls so.
msrv:
	@oldest=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	case "$$(rustc --version)" in "rustc $$oldest."*) ;; *) export RUSTUP_TOOLCHAIN=$$oldest ;; esac; \
	rustc --version && cargo check --locked --workspace --all-targets $(FEATURES)

deny:
	@tool=$$(deploy/release/provide-tool cargo-deny | tail -1) && $$tool --locked check $(CHECKS)

# The book, with search, into target/book; and the documentation of the code.
docs: book
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) $(FEATURES) --workspace --no-deps --document-private-items
	@deploy/release/check-links

# The pages that tests/reference compares with the code.
reference:
	cargo run $(LOCKED) --quiet --example write-reference

# mdBook is built once, which takes a minute.
book:
	@deploy/book/build

# The workflows, the Dockerfile, the links of the documents, and the release scripts themselves.
release-lint:
	@deploy/release/lint
	@deploy/release/check-links
	@deploy/release/test

release-dry-run:
	@deploy/release/dry-run $(if $(REBUILD),--rebuild)
