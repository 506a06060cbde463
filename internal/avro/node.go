package avro

import "github.com/leat-io/leat/pkg/events"

// EncodeNode writes what a node says of itself.
func EncodeNode(n *events.NodeRecord) ([]byte, error) { return encodeValid("node", node, n) }

// AppendNode writes what a node says of itself behind dst.
func AppendNode(dst []byte, n *events.NodeRecord) ([]byte, error) {
	return appendValid(dst, "node", node, n)
}

// DecodeNode reads what a node says of itself.
func DecodeNode(single []byte) (events.NodeRecord, error) { return decodeValid(single, "node", node) }

func node(c *codec, n *events.NodeRecord) {
	c.str("node_id", &n.NodeID)
	c.uuid("incarnation", &n.Incarnation)
	c.long("beat", &n.Beat)
	list(c, "node_types", &n.Types, func(c *codec, t *events.NodeType) { enum(c, "", t, &nodeTypes) })
	c.strs("capabilities", &n.Capabilities)
	c.strs("queues", &n.Queues)
	dict(c, "capacity_limits", &n.Capacity, longValue)
	dict(c, "current_load", &n.Load, longValue)
	list(c, "shares", &n.Shares, nodeShare)
	c.optStr("version", &n.Version)
	c.optStr("endpoint", &n.Endpoint)
	c.time("started_at", &n.StartedAt)
	c.time("beat_at", &n.BeatAt)
}

func nodeShare(c *codec, s *events.NodeShare) {
	c.str("lane", &s.Lane)
	dict(c, "load", &s.Load, longValue)
}
