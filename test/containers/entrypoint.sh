#!/bin/sh
# Settings come as in the official image: KAFKA_A_B=v is the property a.b=v.
set -e
cd /opt/kafka
env | sed -n 's/^KAFKA_//p' | grep -v '^HEAP_OPTS=' |
  awk '{ i = index($0, "="); k = tolower(substr($0, 1, i-1)); gsub("_", ".", k); print k substr($0, i) }' > server.properties
java="/opt/jre/bin/java ${KAFKA_HEAP_OPTS:--Xmx512m} -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=log4j2.xml -cp libs/*"
set -f # the classpath's star is for java
$java kafka.tools.StorageTool format --ignore-formatted -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c server.properties
exec $java kafka.Kafka server.properties # as process 1 it gets docker stop's SIGTERM
