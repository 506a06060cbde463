#!/bin/bash
# docker-up.sh: installs Docker where there is none and starts it where it does
# not run (Debian and Ubuntu, as root). Does nothing where Docker answers.
set -euo pipefail
docker info >/dev/null 2>&1 && exit
log=${TMPDIR:-/tmp}/leat-dockerd.log
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
command -v dockerd >/dev/null || {
  echo "docker-up: installing Docker" >&2
  "${as_root[@]}" apt-get update -qq
  # iptables is only recommended by docker.io, and needed.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq --no-install-recommends docker.io iptables >/dev/null
}
echo "docker-up: starting dockerd, log in $log" >&2
"${as_root[@]}" setsid dockerd >"$log" 2>&1 </dev/null &
for _ in $(seq 150); do docker info >/dev/null 2>&1 && exit; sleep 0.2; done
tail "$log" >&2
echo "docker-up: no answer from dockerd after 30 s" >&2
exit 1
