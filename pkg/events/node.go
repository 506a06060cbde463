package events

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// NodeRecord is what a worker says of itself, on the compacted topic nodes under
// its id: when it begins (beat 0), every few seconds from then on, and when what it
// has to do changes. A tombstone says that it is gone. See package node
// (pkg/spi/node) for what follows from the records.
type NodeRecord struct {
	NodeID string `json:"node_id"`
	// Incarnation is another one each time a worker begins, or comes back after it
	// was given up. Beats of an earlier one count for nothing.
	Incarnation UUID  `json:"incarnation"`
	Beat        int64 `json:"beat"` // 0 in the record that registers the incarnation, then 1, 2, 3, …

	Types        []NodeType `json:"node_types"`
	Capabilities []string   `json:"capabilities,omitempty"` // what tasks may require, such as gpu
	Queues       []string   `json:"queues,omitempty"`       // whose tasks it runs

	// Capacity is how much of each resource there is, and Load how much of it is
	// taken: whole numbers in units that definitions and nodes agree on. What is not
	// in Capacity is not there. [ResourceSlots] is how many tasks run at once.
	Capacity map[string]int64 `json:"capacity_limits,omitempty"`
	Load     map[string]int64 `json:"current_load,omitempty"`
	// Shares says for which partitions of workflow types the load is, as far as it is
	// of tasks that were given to this node: who gives them knows its own part, and
	// learns from this what the others take.
	Shares []NodeShare `json:"shares,omitempty"`

	Version   string    `json:"version,omitempty"`  // of the program
	Endpoint  string    `json:"endpoint,omitempty"` // URL of its /metrics and its like, for people
	StartedAt time.Time `json:"started_at"`         // the node's clock, for people only
	BeatAt    time.Time `json:"beat_at"`            // the node's clock, for people only
}

// NodeShare is the load of a node for one partition of a workflow type.
type NodeShare struct {
	Lane string           `json:"lane"` // type/partition
	Load map[string]int64 `json:"load"`
}

// ResourceSlots is the resource that every executor has: how many tasks it runs at
// once. A task takes one, and no definition has to ask for it.
const ResourceSlots = "slots"

// Bounds of a node's record.
const (
	MaxNodeIDLength     = 200     // bytes
	MaxCapabilityLength = 128     // bytes of a capability, and of the name of a resource
	MaxCapabilities     = 256     // of one node, and names of resources of one node
	MaxNodeQueues       = 4096    // whose tasks one node runs
	MaxNodeShares       = 4096    // partitions that one node works for at once
	MaxResource         = 1 << 53 // of one resource of one node
)

// Validate checks every field. The error is a [FieldError].
func (n *NodeRecord) Validate() error {
	if err := firstError(
		CheckNodeID("node_id", n.NodeID),
		checkID("incarnation", n.Incarnation),
		checkTypes(n.Types),
		checkCapabilities("capabilities", n.Capabilities),
		checkMost("queues", len(n.Queues), MaxNodeQueues),
		CheckResources("capacity_limits", n.Capacity),
		CheckResources("current_load", n.Load),
		checkMost("shares", len(n.Shares), MaxNodeShares),
		checkLength("version", n.Version, MaxNameLength),
		checkLength("endpoint", n.Endpoint, MaxReasonLength),
		checkTime("started_at", n.StartedAt),
		checkTime("beat_at", n.BeatAt),
	); err != nil {
		return err
	}
	if n.Beat < 0 {
		return fieldErrorf("beat", "%d is below 0", n.Beat)
	}
	for i, queue := range n.Queues {
		if err := CheckQueue(fmt.Sprintf("queues[%d]", i), queue); err != nil {
			return err
		}
	}
	for i := range n.Shares {
		if err := n.Shares[i].validate(); err != nil {
			return inField(fmt.Sprintf("shares[%d]", i), err)
		}
	}
	return nil
}

func (s *NodeShare) validate() error {
	return firstError(checkName("lane", s.Lane), CheckResources("load", s.Load))
}

// CheckNodeID wants `^[a-zA-Z0-9][a-zA-Z0-9._:-]{0,199}$`: a node's id is a key, and
// people type it.
func CheckNodeID(field, id string) error {
	if id == "" {
		return fieldErrorf(field, "is missing")
	}
	ok := len(id) <= MaxNodeIDLength && alphanumeric(id[0])
	for i := 1; ok && i < len(id); i++ {
		c := id[i]
		ok = alphanumeric(c) || c == '.' || c == '_' || c == ':' || c == '-'
	}
	if !ok {
		return fieldErrorf(field, "%q does not match ^[a-zA-Z0-9][a-zA-Z0-9._:-]{0,%d}$", clip(id), MaxNodeIDLength-1)
	}
	return nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// CheckCapability wants a word of printable ASCII without spaces and commas, such as
// gpu or mcp:stdio:files.
func CheckCapability(field, name string) error {
	if name == "" {
		return fieldErrorf(field, "is missing")
	}
	ok := len(name) <= MaxCapabilityLength
	for i := 0; ok && i < len(name); i++ {
		ok = name[i] > ' ' && name[i] < 0x7f && name[i] != ',' && name[i] != '='
	}
	if !ok {
		return fieldErrorf(field, "%q is not a word: at most %d characters of ASCII, without spaces, commas and equals signs", clip(name), MaxCapabilityLength)
	}
	return nil
}

// CheckResources wants names of resources as [CheckCapability] does, and amounts
// from 0 to [MaxResource].
func CheckResources(field string, amounts map[string]int64) error {
	if err := checkMost(field, len(amounts), MaxCapabilities); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(amounts)) {
		if err := CheckCapability(field, name); err != nil {
			return err
		}
		if n := amounts[name]; n < 0 || n > MaxResource {
			return fieldErrorf(field+"."+name, "%d is not an amount: from 0 to %d", n, int64(MaxResource))
		}
	}
	return nil
}

func checkTypes(types []NodeType) error {
	if len(types) == 0 {
		return fieldErrorf("node_types", "is missing: a node says what it does")
	}
	for _, t := range types {
		if err := checkEnum("node_types", t, NodeTypes()); err != nil {
			return err
		}
	}
	return checkMost("node_types", len(types), len(NodeTypes()))
}

func checkCapabilities(field string, list []string) error {
	if err := checkMost(field, len(list), MaxCapabilities); err != nil {
		return err
	}
	for i, name := range list {
		if err := CheckCapability(fmt.Sprintf("%s[%d]", field, i), name); err != nil {
			return err
		}
	}
	return nil
}

func checkMost(field string, n, most int) error {
	if n > most {
		return fieldErrorf(field, "has %d entries, at most %d", n, most)
	}
	return nil
}
