# The ways into the project. Each target does its own set-up.

.DEFAULT_GOAL := help
.PHONY: help run test test-long fuzz fmt lint bench bench-rooms clean

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

fuzz: ## Every fuzz target for a minute (FUZZ_SECONDS=n for longer)
	@scripts/setup.sh test
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

fmt: ## Format the code
	@cargo fmt --all

lint: ## Formatting, clippy and the laws of the house
	@scripts/test.sh format clippy tidy

bench: ## Measurements of the hot paths
	@scripts/bench.sh

bench-rooms: ## Joins, memory and first frame of a video room, beside Janus (as root; ROOMS="--rounds 5")
	@scripts/bench-rooms.sh $(ROOMS)

clean: ## Remove everything built and installed here
	@cargo clean
	@rm -rf fuzz/target html_samples/node_modules tests/browser/node_modules tests/janode/node_modules
