#!/bin/bash
# Checks from outside that the topics are what we say they are: a Python program
# with nothing of ours, and kcat where there is one, against bin/router on a real
# Kafka. TEST_BROKERS=host:port takes a broker that runs; else Apache Kafka is
# started from its jars. What is started here is stopped here.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
started=()
stop() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

go build -trimpath -o "$work/" ./cmd/leat ./cmd/router ./test/kafka/cmd/kafka

python=python3
if ! $python -c 'import confluent_kafka, fastavro' 2>/dev/null; then
  $python -m venv "$work/venv"
  python=$work/venv/bin/python
  "$python" -m pip install -q confluent-kafka fastavro
fi

# eventually SECONDS COMMAND...: until the command succeeds.
eventually() {
  local deadline=$((SECONDS + $1))
  until "${@:2}" >"$work/last" 2>&1; do
    if ((SECONDS >= deadline)); then
      echo "interop: not within $1 s: ${*:2}" >&2
      tail -n 20 "$work"/last "$work"/*.log >&2 || true
      return 1
    fi
    sleep 0.2
  done
}

brokers=${TEST_BROKERS:-}
if [ -z "$brokers" ]; then
  "$work/kafka" -port 0 -dir "$work/kafka-data" >"$work/kafka.out" 2>"$work/kafka.log" &
  started+=($!)
  eventually 120 grep -q '^ready ' "$work/kafka.out"
  brokers=$(awk '/^ready /{print $2}' "$work/kafka.out")
fi
echo "broker $brokers"

"$work/leat" --brokers "$brokers" def deploy test/interop/greeting.yaml
"$work/router" --brokers "$brokers" --slot "interop-$$" --data "$work/router-data" --ops-addr 127.0.0.1:0 >"$work/router.log" 2>&1 &
started+=($!)

"$python" test/interop/interop.py "$brokers" schemas "${COUNT:-1000}" || { grep -E '"level":"(WARN|ERROR)"' "$work/router.log" | tail -n 20; exit 1; }

if command -v kcat >/dev/null; then
  # One line of JSON starts a workflow, without any key or header.
  key=kcat-$$-$RANDOM
  echo '{"command":"start","type":"greeting","key":"'$key'","input":{"name":"kcat"}}' |
    kcat -P -b "$brokers" -t workflow.greeting.commands
  id=$("$python" -c 'import sys, uuid; print(uuid.uuid5(uuid.UUID("6c656174-2d69-6f50-8000-6e616d657370"), "instance/greeting/" + sys.argv[1]))' "$key")
  seen() {
    kcat -C -q -b "$brokers" -t workflow.greeting -o beginning -e -X isolation.level=read_committed -f '%k %h\n' |
      grep "^$id .*ce_type=$1"
  }
  eventually 30 seen workflow.created
  echo '{"command":"signal","type":"greeting","key":"'$key'","event":"answered","data":{"language":"kcat"}}' |
    kcat -P -b "$brokers" -t workflow.greeting.commands
  eventually 30 seen workflow.completed
  echo "kcat: one line of JSON started $key, another ended it"
else
  echo "SKIP kcat: it is not installed"
fi
