#!/bin/bash
# The example as a cluster: two routers, two workers and a projector as processes
# on a Kafka that runs, and one of each is killed -9 on the way. It ends with 0
# when the table, the effects and the histories are what they must be.
#
#   make build && examples/quakes/cluster.sh HOST:PORT
#
# The broker must not have run the example before. WITHIN is how long the desk may
# take: longer than the longest pause, or the pause decides.
set -euo pipefail
brokers=${1:?usage: cluster.sh HOST:PORT}
within=${WITHIN:-45s}
bin=${BIN:-$(cd "$(dirname "$0")/../.." && pwd)/bin}
work=$(mktemp -d)
api=127.0.0.1:$((20000 + RANDOM % 10000))
declare -A pid

# begin NAME COMMAND...: runs a process in the background, under a name.
begin() {
  "${@:2}" >>"$work/$1.log" 2>&1 &
  pid[$1]=$!
}
router() { begin "router-$1" "$bin/router" --brokers "$brokers" --slot "$1" --data "$work/router-$1" --ops-addr 127.0.0.1:0 --log-format json; }
worker() { begin "worker-$1" "$bin/quakes" worker --brokers "$brokers" --out "$work/out"; }
projector() { begin projector "$bin/projector" --brokers "$brokers" --data "$work/projector" --http "$api" --ops-addr 127.0.0.1:0 --log-format json; }

# murder NAME: no good-bye, no flush, no hand-over.
murder() {
  echo "kill -9 $1"
  kill -9 "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
}

stop() {
  local status=$?
  kill "${pid[@]}" 2>/dev/null || true
  wait "${pid[@]}" 2>/dev/null || true
  if [ "$status" = 0 ]; then rm -rf "$work"; else echo "FAILED; logs and effects are in $work" >&2; fi
}
trap stop EXIT

router a
router b
worker a
worker b
projector
"$bin/quakes" start --brokers "$brokers" --review-within "$within" &
starting=$!
# In the middle: some have been told, others are not even started.
for ((i = 0; i < 600; i++)); do
  [ "$(cat "$work/out/notify.jsonl" 2>/dev/null | wc -l)" -ge 10 ] && break
  sleep 0.1
done
murder router-a
murder worker-a
sleep 1
murder projector
wait "$starting"
router a # on the slot and the data of the one that died
projector
sleep 3
worker a

"$bin/quakes" wait --brokers "$brokers" --api "http://$api" | tee "$work/by-api"
"$bin/quakes" wait --brokers "$brokers" >"$work/by-topics" # the same, without a projector

fail() {
  echo "cluster.sh: $*" >&2
  exit 1
}
want='{"dismissed":28,"unreviewed":456,"alerted":88,"filed":1135,'
for by in api topics; do
  tail -n 1 "$work/by-$by" | grep -qF "$want" || fail "the table by $by is not $want"
done
for effect in notify map publish; do
  lines=$(wc -l <"$work/out/$effect.jsonl")
  quakes=$(grep -o '"quake":"[^"]*"' "$work/out/$effect.jsonl" | sort -u | wc -l)
  [ "$lines" = 88 ] && [ "$quakes" = 88 ] || fail "$effect.jsonl has $lines lines about $quakes quakes, want 88"
done
echo "the same table by projector and by topics; 88 of each effect; after kill -9 of a router, a worker and the projector"
