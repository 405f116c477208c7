# The ways into the project. Each target does its own set-up.

.DEFAULT_GOAL := help
.PHONY: help run test test-long nat-test chart-test fuzz fmt lint bench bench-rooms bench-janus image image-test clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build the gateway and start it with the sample pages, http://localhost:8088/demos/
	@scripts/run.sh

test: ## All checks and tests, with a table of times at the end (make test STAGES="tidy unit" for some)
	@scripts/setup.sh test
	@scripts/test.sh $(STAGES)

test-long: ## Storms of the video room for minutes, a ten minute call in a browser
	@scripts/setup.sh test
	@STORM_LONG=$$(date +%s) cargo test --locked --profile ci --package portunus-testkit --test videoroom_storm -- --nocapture
	@cargo build --locked --profile ci --package portunus --package portunus-postproc
	@cd tests/browser && PORTUNUS_BIN=$(CURDIR)/target/ci/portunus node --test --test-reporter=spec suites/long.mjs
	@cd tests/operate && OPERATE_LONG=1 PORTUNUS_BIN=$(CURDIR)/target/ci/portunus node --test --test-reporter=spec all.mjs

nat-test: ## The gateway behind NATs, a real browser in front, in network namespaces, as root (NAT_LONG=1 for all of it)
	@scripts/setup.sh test
	@scripts/nat-test.sh

chart-test: ## The Helm chart, offline: lint, rendering, schemas of Kubernetes, its settings read by the gateway if it is built
	@scripts/test.sh chart

fuzz: ## Every fuzz target for a minute (FUZZ_SECONDS=n for longer)
	@scripts/setup.sh test
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

fmt: ## Format the code
	@cargo fmt --all

lint: ## Formatting, clippy and the laws of the house
	@scripts/test.sh format clippy tidy

bench: ## Instructions and CPU time of the hot paths (make bench ARGS=--accept writes the counts down)
	@scripts/setup.sh bench
	@scripts/bench.sh $(ARGS)

bench-rooms: ## Joins, memory and first frame of a video room, beside Janus (as root; ROOMS="--rounds 5")
	@scripts/bench-rooms.sh $(ROOMS)

bench-janus: ## The same loads on our gateway and on Janus in turn, into docs/benchmarks-janus.md (as root; 25 minutes)
	@scripts/setup.sh bench
	@scripts/bench-janus.sh

image: ## Build the container image in two stages (container.sh), with what is missing of docker and its base
	@scripts/setup.sh image
	@scripts/image/with-docker.sh ./container.sh

image-test: ## Build it if need be, and test it: calls from outside, mounts, stopping, the pipeline itself
	@scripts/setup.sh image
	@scripts/image/test.sh

clean: ## Remove everything built and installed here
	@cargo clean
	@rm -rf image fuzz/target html_samples/node_modules tests/browser/node_modules tests/janode/node_modules
