// Package topics describes every topic of Leat as data: its name, key, partitions,
// cleanup, retention, writers and readers. Creation, verification and the tests
// read this data; no other place builds a topic name. It imports the standard
// library only and does no I/O.
package topics

import (
	"strconv"
	"strings"
	"time"
)

// Cleanup is Kafka's cleanup.policy.
type Cleanup string

// The two policies that Leat uses.
const (
	Delete  Cleanup = "delete"
	Compact Cleanup = "compact"
)

// Forever is the retention of a topic that never loses a record by age.
const Forever time.Duration = -1

// Defaults for partition counts. Counts are fixed for the life of a topic,
// because the partition of an instance depends on them.
const (
	DefaultPartitions    = 32 // of a workflow type and of a task queue
	DevPartitions        = 8  // the same in `leat dev`
	registryPartitions   = 1  // of topics that every worker reads whole
	deadLetterPartitions = 1
	nodeTaskPartitions   = 8 // a node reads the one of its id, and what is for others there
)

// Spec is one topic.
type Spec struct {
	Name       string
	Partitions int32
	Cleanup    Cleanup
	Retention  time.Duration // Forever, or how long a record stays; ignored when compacted
	// Busy says of a compacted topic that its records are replaced every few seconds:
	// it is compacted soon, and its records have the broker's time, by which those who
	// read it count what is missing, whatever the clocks of the writers say.
	Busy    bool
	Key     string // what the record key is, for people
	Writers string // who may write, for people and ACLs
	Readers string // who reads
}

// Config is the topic configuration of Spec, in Kafka's names.
func (s Spec) Config() map[string]string {
	c := map[string]string{"cleanup.policy": string(s.Cleanup)}
	switch {
	case s.Cleanup == Compact && s.Busy:
		c["segment.bytes"] = "8388608"
		c["segment.ms"] = millis(10 * time.Minute) // the cleaner leaves the newest segment alone
		c["min.cleanable.dirty.ratio"] = "0.2"
		c["max.compaction.lag.ms"] = millis(10 * time.Minute)
		c["delete.retention.ms"] = millis(10 * time.Minute)
		c["message.timestamp.type"] = "LogAppendTime"
	case s.Cleanup == Compact:
		c["segment.bytes"] = "67108864" // small segments, so that the cleaner gets to work
		c["min.cleanable.dirty.ratio"] = "0.2"
		c["max.compaction.lag.ms"] = millis(6 * time.Hour)
	case s.Retention == Forever:
		c["retention.ms"] = "-1"
		c["retention.bytes"] = "-1"
	default:
		c["retention.ms"] = millis(s.Retention)
	}
	return c
}

// Verified lists the settings of Config whose change would lose data or break a
// promise; provisioning compares these, and only these, with what it finds.
func (s Spec) Verified() []string {
	if s.Cleanup == Delete {
		return []string{"cleanup.policy", "retention.ms"}
	}
	return []string{"cleanup.policy"}
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Names builds topic names. The zero value has no prefix; Prefix, when
// set, begins every name.
type Names struct {
	Prefix string
}

// Commands takes the commands of anyone.
func (n Names) Commands(workflowType string) string { return n.Events(workflowType) + ".commands" }

// Events is the event store of a type.
func (n Names) Events(workflowType string) string { return n.Prefix + "workflow." + workflowType }

// State is the compacted topic of snapshots and checkpoints.
func (n Names) State(workflowType string) string { return n.Events(workflowType) + ".state" }

// Outcomes answers commands that led to no event.
func (n Names) Outcomes(workflowType string) string { return n.Events(workflowType) + ".outcomes" }

// Tasks is where one queue's executors find work.
func (n Names) Tasks(queue string) string { return n.Prefix + "tasks." + queue }

// DeadLetters keeps what could not be read from source.
func (n Names) DeadLetters(source string) string {
	return n.Prefix + "dlq." + strings.TrimPrefix(source, n.Prefix)
}

// Definitions holds every deployed version of every definition.
func (n Names) Definitions() string { return n.Prefix + "workflow.definitions" }

// Audit keeps every operation that was requested.
func (n Names) Audit() string { return n.Prefix + "audit" }

// Cancels tells executors which attempts are over.
func (n Names) Cancels() string { return n.Prefix + "cancels" }

// Schedules holds every schedule.
func (n Names) Schedules() string { return n.Prefix + "workflow.schedules" }

// Nodes holds what every worker says of itself.
func (n Names) Nodes() string { return n.Prefix + "nodes" }

// NodeTasks is where nodes find the tasks that were given to them.
func (n Names) NodeTasks() string { return n.Prefix + "nodes.tasks" }

// MCPSubsystems holds every MCP server that is registered.
func (n Names) MCPSubsystems() string { return n.Prefix + "mcp.subsystems" }

// MCPTools holds the tools of MCP servers, as they were described.
func (n Names) MCPTools() string { return n.Prefix + "mcp.tools" }

// MCPHealth holds how every executor sees every MCP server.
func (n Names) MCPHealth() string { return n.Prefix + "mcp.health" }

// TypeOfCommands is the workflow type whose commands topic has this name.
func (n Names) TypeOfCommands(topic string) (workflowType string, ok bool) {
	rest, ok := strings.CutPrefix(topic, n.Prefix+"workflow.")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, ".commands")
}

// Type lists the topics of a workflow type. Commands, events and state share
// their partition count, so that everything about an instance is in the same
// partition of each.
func (n Names) Type(workflowType string, partitions int32) []Spec {
	return []Spec{
		{
			Name: n.Commands(workflowType), Partitions: partitions, Cleanup: Delete, Retention: 7 * 24 * time.Hour,
			Key: "instance id", Writers: "anyone", Readers: "router",
		},
		{
			Name: n.Events(workflowType), Partitions: partitions, Cleanup: Delete, Retention: Forever,
			Key: "instance id", Writers: "router", Readers: "projector, subscribers",
		},
		{
			Name: n.State(workflowType), Partitions: partitions, Cleanup: Compact,
			Key: "instance id, !ckpt, !schedule/<id>", Writers: "router", Readers: "router, projector",
		},
		{
			Name: n.Outcomes(workflowType), Partitions: registryPartitions, Cleanup: Delete, Retention: 24 * time.Hour,
			Key: "command id", Writers: "router", Readers: "clients",
		},
		n.DeadLetter(n.Commands(workflowType)),
	}
}

// Queue lists the topics of a task queue.
func (n Names) Queue(queue string, partitions int32) []Spec {
	return []Spec{
		{
			Name: n.Tasks(queue), Partitions: partitions, Cleanup: Delete, Retention: 14 * 24 * time.Hour,
			Key: "task id", Writers: "router", Readers: "executors",
		},
		n.DeadLetter(n.Tasks(queue)),
	}
}

// DeadLetter is the topic that keeps what could not be read from source.
func (n Names) DeadLetter(source string) Spec {
	return Spec{
		Name: n.DeadLetters(source), Partitions: deadLetterPartitions, Cleanup: Delete, Retention: 30 * 24 * time.Hour,
		Key: "original key", Writers: "any worker", Readers: "operators",
	}
}

// Shared lists the topics that do not belong to a type or a queue.
func (n Names) Shared() []Spec {
	return append([]Spec{
		{
			Name: n.Definitions(), Partitions: registryPartitions, Cleanup: Compact,
			Key: "type@version", Writers: "deployers", Readers: "all",
		},
		{
			Name: n.Schedules(), Partitions: registryPartitions, Cleanup: Compact,
			Key: "schedule id", Writers: "clients", Readers: "router",
		},
		{
			Name: n.MCPSubsystems(), Partitions: registryPartitions, Cleanup: Compact,
			Key: "subsystem id", Writers: "registrars", Readers: "executors, projector",
		},
		{
			Name: n.MCPTools(), Partitions: registryPartitions, Cleanup: Compact,
			Key: "subsystem id/pin", Writers: "executors, registrars", Readers: "executors, registrars",
		},
		{
			Name: n.MCPHealth(), Partitions: registryPartitions, Cleanup: Compact,
			Key: "subsystem id/node id", Writers: "executors, registrars", Readers: "executors, projector",
		},
		{
			Name: n.Cancels(), Partitions: registryPartitions, Cleanup: Delete, Retention: 24 * time.Hour,
			Key: "task id", Writers: "router", Readers: "executors",
		},
		{
			Name: n.Audit(), Partitions: registryPartitions, Cleanup: Delete, Retention: Forever,
			Key: "type/instance id", Writers: "router", Readers: "people",
		},
	}, n.OfNodes()...)
}

// OfNodes lists the topics with which workers find each other.
func (n Names) OfNodes() []Spec {
	return []Spec{
		{
			Name: n.Nodes(), Partitions: registryPartitions, Cleanup: Compact, Busy: true,
			Key: "node id", Writers: "every worker", Readers: "every worker",
		},
		{
			Name: n.NodeTasks(), Partitions: nodeTaskPartitions, Cleanup: Delete, Retention: 24 * time.Hour,
			Key: "node id", Writers: "router", Readers: "executors",
		},
	}
}

// QueueOf is the queue of a task name: the part before the first dot.
func QueueOf(taskName string) string {
	queue, _, _ := strings.Cut(taskName, ".")
	return queue
}
