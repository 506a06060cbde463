package kafkatest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// clusterID may be any base64 UUID; a fixed one makes data folders reusable.
const clusterID = "5L6g3nShT-eMCtK--X86sw"

// properties returns the server.properties of a single broker that is its own
// controller. What is not named keeps Kafka's default on purpose, above all
// add.partitions.to.txn.retry.backoff.ms: tests should meet the broker that
// users run. The exceptions make a broker of one possible (replication), start
// faster (few internal partitions, no rebalance delay), or make a mistake
// visible (no topic appears by itself).
func properties(dataDir string, port, controllerPort int, extra map[string]string) string {
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        "1",
		"listeners":                      fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", port, controllerPort),
		"controller.listener.names":      "CONTROLLER",
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"controller.quorum.voters":       fmt.Sprintf("1@127.0.0.1:%d", controllerPort),
		"log.dirs":                       dataDir,
		"auto.create.topics.enable":      "false",

		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"group.initial.rebalance.delay.ms":                 "0",
	}
	maps.Copy(p, extra)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", k, p[k])
	}
	return b.String()
}
