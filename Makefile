# Everything that people and CI run. Lines with ## are what `make help` shows.
# A target that grows logic becomes a Go test or a script, so that these stay short.

.DEFAULT_GOAL := help
SHELL := /bin/bash

TOOL      := go tool -modfile=tools/go.mod
GOTESTSUM := $(TOOL) gotestsum --format pkgname --format-hide-empty-pkg
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -X github.com/leat-io/leat/internal/boot/ops.Version=$(VERSION)

# In CI a test that fails is run again, twice at the most, and the log says so:
# real brokers and killed processes share two cores there.
AGAIN := $(if $(CI),--rerun-fails=2 --rerun-fails-max-failures=4)

# Packages whose tests need no process beside their own.
UNIT = $$(go list ./... | grep -v -e /test/ -e /bench)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build leat, the three workers and the quakes example into bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/... ./examples/quakes

run: build ## Run the quakes example (ONCE=1 ends after one round; ARGS='...' adds flags)
	bin/quakes run $(if $(ONCE),--once) $(ARGS)

examples: ## Run the other examples, each on a leat dev of its own (ARGS='...' adds flags)
	go run ./examples/user_onboarding $(ARGS)
	go run ./examples/data_pipeline $(ARGS)
	go run ./examples/payment_processing $(ARGS)

# Everything once, with the race detector, rather than once without and once
# with: the same tests run, and CI stays short. Lint last: its first build takes
# minutes, and a failing test should show before that.
test: ## Run every test with -race (unit, import rules, simulation, integration on embedded and real Kafka), then lint
	$(GOTESTSUM) $(AGAIN) --packages ./... -- -race -timeout 15m
	@$(MAKE) --no-print-directory lint

unit: ## Run the tests that need no broker process, without -race: seconds
	$(GOTESTSUM) -- -short $(UNIT)

race: ## Run the same tests with -race
	$(GOTESTSUM) -- -race -short $(UNIT)

integration: ## Run the whole engine on the embedded broker and on a real one (TEST_BROKERS, a container, or Kafka from jars)
	$(GOTESTSUM) -- -count=1 -timeout 15m ./test/kafka/... ./test/integration/...

mcp-servers: ## Install the MCP servers that tests use (npm, pip, go) into the user's cache folder
	@go run ./test/mcp/servers/fetch

chaos: ## Run the examples on real processes and kill -9 them in the middle (LEAT_CHAOS_SEED=n repeats a run)
	$(GOTESTSUM) --format standard-verbose -- -count=1 -timeout 5m ./test/chaos/...

test-containers: ## Run the integration suite on a Kafka container (installs Docker, builds an image where TEST_BROKER_IMAGE names none)
	test/containers/run.sh $(PKGS)

SEEDS ?= 50
sim: ## Run the simulation over SEEDS=50 random histories
	LEAT_SIM_SEEDS=$(SEEDS) $(GOTESTSUM) $(AGAIN) --packages ./test/sim/... -- -count=1 -timeout 15m

bench: ## Run the benchmarks on a real Kafka, JSON lines on stdout (ARGS='-only workflow3 -in-flight 128 -seconds 4', ARGS=-h)
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...
	@go run ./bench $(ARGS)

bench-fsm: ## Measure the interpreter beside other Go machines and XState, JSON lines (ARGS='-rounds 9')
	@bench/fsm/run.sh $(ARGS)

bench-mcp: ## Measure calls of MCP tools beside the bare client of the Go SDK, JSON lines (ARGS='-seconds 3 -rounds 4')
	@go run ./bench/mcp/cmd $(ARGS)

CASES ?= ../shared/cases
cases: build ## Play the cases of ../shared/cases, where they are there, against bin/leat
	@if [ -f $(CASES)/run.sh ]; then LEAT=$(CURDIR)/bin/leat bash $(CASES)/run.sh; else echo "there are no cases in $(CASES)"; fi

FUZZTIME ?= 20s
fuzz: ## Fuzz every fuzz target for FUZZTIME=20s each
	@set -e; grep -rlE '^func Fuzz' --include='*_test.go' pkg internal | while read -r file; do \
		for name in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' $$file | cut -c6-); do \
			echo "$$(dirname $$file) $$name"; \
			go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file) </dev/null; \
		done; \
	done

lint: ## Run golangci-lint
	$(TOOL) golangci-lint run --allow-parallel-runners ./...

fmt: ## Format the code
	$(TOOL) golangci-lint fmt ./...

check: ## What a change needs before it is pushed: tidy go.mod, lint, unit tests
	go mod tidy -diff
	@$(MAKE) --no-print-directory lint unit

vuln: ## Look for known vulnerabilities in what the programs call
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

PORT ?= 9092
kafka: ## Run a real Kafka broker on PORT=9092 until Ctrl-C, with its data in data/kafka
	@go build -o bin/kafka ./test/kafka/cmd/kafka
	@exec bin/kafka -port $(PORT) -dir data/kafka $(ARGS)

hooks: ## Lint before every commit in this clone
	git config core.hooksPath .githooks

clean: ## Remove what was built and the data of local runs
	rm -rf bin data .leat coverage*

.PHONY: help build run examples test unit race integration mcp-servers chaos test-containers sim bench bench-fsm bench-mcp cases fuzz lint fmt check vuln kafka hooks clean
