#!/bin/bash
# build.sh LIBS IMAGE: an image of Apache Kafka from a folder of jars, in one
# layer and without a base image, so that it can be built where no registry of
# images can be reached. It is configured like the official one. Needs jlink (a
# JDK) and Docker; the machine's own libc goes into the image.
set -euo pipefail
libs=$(realpath "$1") image=$2
cd "$(dirname "$0")"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

busybox=$(command -v busybox || true)
# `ldd` fails on a static binary; a dynamic one would miss its libraries inside.
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends busybox-static >/dev/null
  busybox=/bin/busybox
fi

mkdir -p "$root"/{bin,etc,opt/kafka}
mkdir -m 1777 "$root/tmp"
# java.desktop is for log4j alone, which reads java.beans.
jlink --output "$root/opt/jre" --strip-debug --no-header-files --no-man-pages --add-modules \
  java.base,java.desktop,java.logging,java.management,java.naming,java.security.sasl,java.sql,java.xml,jdk.management,jdk.unsupported
"$root/opt/jre/bin/java" -Xshare:dump >/dev/null
# Only what these files need: java.desktop's windowing libraries are never loaded.
(cd "$root/opt/jre" && ldd bin/java lib/server/libjvm.so lib/lib{java,net,nio,zip,management}.so) |
  awk '$3 ~ "^/" {print $3} $1 ~ "^/lib" {print $1}' | grep -v /opt/jre/ | sort -u |
  while read -r so; do install -D "$so" "$root$so"; done
cp "$busybox" "$root/bin/busybox"
for a in sh sed grep awk env sleep cat; do ln -s busybox "$root/bin/$a"; done
cp -r "$libs" "$root/opt/kafka/libs"
install ../kafka/log4j2.xml entrypoint.sh "$root/opt/kafka/"
tar -C "$root" -c . | docker import --change 'ENTRYPOINT ["/opt/kafka/entrypoint.sh"]' --change 'ENV PATH=/bin' - "$image"
