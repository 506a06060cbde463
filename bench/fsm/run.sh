#!/bin/bash
# Measures the interpreter beside others; XState only where node and npm are.
set -euo pipefail
cd "$(dirname "$0")"
directory=
if command -v node >/dev/null && command -v npm >/dev/null; then
	temporary=$(mktemp -d)
	trap 'rm -rf "$temporary"' EXIT
	cp xstate/package.json xstate/bench.mjs "$temporary"
	if (cd "$temporary" && npm install --silent --no-audit --no-fund >&2); then
		directory=$temporary
	else
		echo "bench-fsm: npm cannot install xstate: its side is left out" >&2
	fi
else
	echo "bench-fsm: node and npm are not here: XState's side is left out" >&2
fi
go run . -xstate "$directory" "$@"
