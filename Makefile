# Everything a developer does. `make` lists it.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The release that go.mod names is used, fetched as a module where another one
# is installed. GOTOOLCHAIN=local in the environment keeps the installed one.
export GOTOOLCHAIN ?= auto

TOOL     := go tool -modfile=tools/go.mod
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -X messaging-worker/internal/app.version=$(VERSION)
FUZZTIME ?= 10s
ARGS     ?=
# The race detector needs a C compiler.
RACE := $(shell command -v $$(go env CC) >/dev/null 2>&1 && echo -race)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the workers and msgctl into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: run
run: ## run broker, workers and sample traffic in one process; ARGS="--once" ends by itself
	go run ./cmd/msgctl dev $(ARGS)

.PHONY: test
test: ## vet and all tests, with the race detector and on real Apache Kafka
	go vet ./...
	@[ -n "$(RACE)" ] || echo '*** no C compiler: the tests run WITHOUT the race detector ***' >&2
	@[ -n "$${KAFKA_TEST_BROKERS:-}" ] || { command -v java && command -v mvn; } >/dev/null || echo '*** no Java or no Maven: the tests run on the embedded broker, NOT on Apache Kafka ***' >&2
	go test $(RACE) -timeout 40m ./...
	cd test/alerts && go vet ./... && go test -timeout 30m ./...
	cd test/deploy && go vet ./... && go test -timeout 30m ./...

.PHONY: chaos
chaos: ## the fault tests in their long form, half an hour; CHAOS_SEED=N repeats choices
	CHAOS_LONG=true go test -count=1 -v -timeout 90m ./test/chaos

.PHONY: bench
bench: ## measure against a bare loop, an hour; ARGS="-only W1,W2 -runs 1" for less
	go run ./bench -out bench/RESULTS.md $(ARGS)

.PHONY: race
race: ## only the tests of the code itself, many times, with the race detector
	go test -race -count=5 ./internal/... ./test/worker/... ./test/validation/...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: lint
lint: ## check format and lint
	@unformatted=$$($(TOOL) gofumpt -l .); [ -z "$$unformatted" ] || { echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; }
	$(TOOL) golangci-lint run ./...

.PHONY: scripts-lint
scripts-lint: ## check the scripts, where shellcheck is installed
	@if command -v shellcheck >/dev/null; then shellcheck -x scripts/*.sh; else echo 'shellcheck is not installed: the scripts are not checked' >&2; fi

.PHONY: fmt
fmt: ## format the code
	$(TOOL) gofumpt -w .
	$(TOOL) golangci-lint fmt ./...

.PHONY: tidy
tidy: ## tidy the modules
	go mod tidy
	cd tools && go mod tidy
	for dir in tools/supply test/alerts test/deploy; do (cd $$dir && go mod tidy) || exit 1; done

.PHONY: verify
verify: ## check that modules are what go.sum says, and that docs/licences.md is current
	go mod verify
	cd tools/supply && go test . && go run . licences -check

.PHONY: licences
licences: ## write docs/licences.md from the modules' licence texts
	cd tools/supply && go run . licences

.PHONY: vuln
vuln: ## look for known vulnerabilities; skipped, and says so, without a database
	tools/supply/vuln.sh

.PHONY: sbom
sbom: ## write the bill of materials in CycloneDX to dist/sbom.json
	@mkdir -p dist
	go tool -modfile=tools/supply/go.mod cyclonedx-gomod mod -json -licenses -noserial -output dist/sbom.json .

.PHONY: release
release: ## build archives of VERSION for all platforms and their sums into dist/
	cd tools/supply && go run . release -version $(VERSION)

.PHONY: check
check: lint test ## what to run before a commit

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist coverage.out
