#!/bin/bash
# run.sh [PACKAGES]: runs the integration suite against a broker in a container.
#
# Where TEST_BROKER_IMAGE names no image, it starts Docker (installing it where
# missing) and builds one of Apache Kafka from its jars. Containers that a killed
# run left behind are removed before and after.
set -euo pipefail
cd "$(dirname "$0")/../.."
packages=("$@")
[ $# -gt 0 ] || packages=(./test/integration/...)

if [ -z "${TEST_BROKER_IMAGE:-}" ]; then
  test/containers/docker-up.sh
  # The reaper is an image of its own, which this path must not need to pull.
  export TEST_BROKER_IMAGE=kafka-local:4.3.1 TESTCONTAINERS_RYUK_DISABLED=true
  docker image inspect "$TEST_BROKER_IMAGE" >/dev/null 2>&1 ||
    test/containers/build.sh "$(go run ./test/kafka/cmd/kafka -jars)" "$TEST_BROKER_IMAGE"
fi
clean() { docker ps -aq --filter label=io.leat.test | xargs -r docker rm -f >/dev/null; }
clean
trap clean EXIT
export LEAT_REQUIRE_KAFKA=1
unset TEST_BROKERS

# First the broker alone, so that a broken image does not look like a broken engine.
go -C test/containers vet ./...
go -C test/containers tool -modfile=../../tools/go.mod gotestsum --format testname -- -count=1 ./...
again=()
[ -z "${CI:-}" ] || again=(--rerun-fails=2 --rerun-fails-max-failures=4) # as in the Makefile
go tool -modfile=tools/go.mod gotestsum --format testname "${again[@]}" --packages "${packages[*]}" -- -count=1 -timeout 15m
