// Package catalog is what the topics mcp.subsystems, mcp.tools and mcp.health say,
// folded: which servers there are, which tools they list, which of those were
// approved, and how each executor sees each server. It does no I/O, takes the time
// as data, and is not for concurrent use.
package catalog

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Catalog is the fold. It is made by [New]; what it returns is not to be changed.
type Catalog struct {
	subsystems map[string]events.MCPSubsystem
	tools      map[string]map[string]events.MCPTool   // by subsystem and pin
	health     map[string]map[string]events.MCPHealth // by subsystem and node
	approved   map[string][]string                    // tool: subsystems in order
}

// New makes an empty catalog.
func New() *Catalog {
	return &Catalog{
		subsystems: make(map[string]events.MCPSubsystem), tools: make(map[string]map[string]events.MCPTool),
		health: make(map[string]map[string]events.MCPHealth), approved: make(map[string][]string),
	}
}

// PutSubsystem takes a record of mcp.subsystems in.
func (c *Catalog) PutSubsystem(s events.MCPSubsystem) {
	c.DropSubsystem(s.SubsystemID)
	c.subsystems[s.SubsystemID] = s
	for _, a := range s.Approved {
		ids := append(slices.Clone(c.approved[a.Name]), s.SubsystemID)
		slices.Sort(ids)
		c.approved[a.Name] = ids
	}
}

// DropSubsystem takes a tombstone of mcp.subsystems in.
func (c *Catalog) DropSubsystem(id string) {
	for _, a := range c.subsystems[id].Approved {
		ids := slices.DeleteFunc(slices.Clone(c.approved[a.Name]), func(other string) bool { return other == id })
		if c.approved[a.Name] = ids; len(ids) == 0 {
			delete(c.approved, a.Name)
		}
	}
	delete(c.subsystems, id)
}

// PutTool takes a record of mcp.tools in.
func (c *Catalog) PutTool(t events.MCPTool) {
	if c.tools[t.SubsystemID] == nil {
		c.tools[t.SubsystemID] = make(map[string]events.MCPTool)
	}
	c.tools[t.SubsystemID][t.Pin] = t
}

// DropTool takes a tombstone of mcp.tools in.
func (c *Catalog) DropTool(key string) { drop(c.tools, key) }

// PutHealth takes a record of mcp.health in.
func (c *Catalog) PutHealth(h events.MCPHealth) {
	if c.health[h.SubsystemID] == nil {
		c.health[h.SubsystemID] = make(map[string]events.MCPHealth)
	}
	c.health[h.SubsystemID][h.NodeID] = h
}

// DropHealth takes a tombstone of mcp.health in.
func (c *Catalog) DropHealth(key string) { drop(c.health, key) }

func drop[V any](all map[string]map[string]V, key string) {
	id, rest, _ := strings.Cut(key, "/")
	if delete(all[id], rest); len(all[id]) == 0 {
		delete(all, id)
	}
}

// Subsystem is one server.
func (c *Catalog) Subsystem(id string) (events.MCPSubsystem, bool) {
	s, ok := c.subsystems[id]
	return s, ok
}

// Subsystems lists every server by id.
func (c *Catalog) Subsystems() []events.MCPSubsystem {
	return slices.SortedFunc(maps.Values(c.subsystems), func(a, b events.MCPSubsystem) int { return cmp.Compare(a.SubsystemID, b.SubsystemID) })
}

// Tool is a tool as its pin names it.
func (c *Catalog) Tool(subsystem, pin string) (events.MCPTool, bool) {
	t, ok := c.tools[subsystem][pin]
	return t, ok
}

// Tools lists what is on mcp.tools of a subsystem, by name and pin.
func (c *Catalog) Tools(subsystem string) []events.MCPTool {
	return slices.SortedFunc(maps.Values(c.tools[subsystem]), func(a, b events.MCPTool) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Pin, b.Pin))
	})
}

// Health lists how the executors see a server, by node, those that are gone
// included.
func (c *Catalog) Health(subsystem string) []events.MCPHealth {
	return slices.SortedFunc(maps.Values(c.health[subsystem]), func(a, b events.MCPHealth) int { return cmp.Compare(a.NodeID, b.NodeID) })
}

// HealthOf lists how one executor sees the servers, by subsystem.
func (c *Catalog) HealthOf(node string) (all []events.MCPHealth) {
	for _, id := range slices.Sorted(maps.Keys(c.health)) {
		if h, ok := c.health[id][node]; ok {
			all = append(all, h)
		}
	}
	return all
}

// Expired lists the keys of health records that nobody renews any more, of nodes
// that went without a word.
func (c *Catalog) Expired(now time.Time) (keys []string) {
	for _, id := range slices.Sorted(maps.Keys(c.health)) {
		for _, h := range c.health[id] {
			if now.Sub(h.ValidUntil) > events.MCPHealthValid {
				keys = append(keys, h.Key())
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// Approving lists the servers of which a tool was approved, by id. The slice is
// never changed afterwards.
func (c *Catalog) Approving(tool string) []string { return c.approved[tool] }

// Serving lists the nodes, but for one, that could take a call of the tool now, as
// far as their health records say: the pin that was approved is listed there, and
// the server is well.
func (c *Catalog) Serving(tool, subsystem string, require bool, but string, now time.Time) (nodes []string) {
	for _, id := range c.approved[tool] {
		if require && id != subsystem {
			continue
		}
		s := c.subsystems[id]
		approval, _ := s.Approval(tool)
		for _, h := range c.health[id] {
			if h.NodeID != but && Live(&h, now) && h.Health.Routable() && offers(&h, approval) {
				nodes = append(nodes, h.NodeID)
			}
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Reaching lists the nodes, but for one, that are connected with a server.
func (c *Catalog) Reaching(subsystem, but string, now time.Time) (nodes []string) {
	for _, h := range c.Health(subsystem) {
		if h.NodeID != but && Live(&h, now) && h.Connection == events.MCPConnected {
			nodes = append(nodes, h.NodeID)
		}
	}
	return nodes
}

// Live reports whether the executor that wrote a record is still there.
func Live(h *events.MCPHealth, now time.Time) bool { return now.Before(h.ValidUntil) }

func offers(h *events.MCPHealth, a events.MCPApproval) bool {
	i, ok := slices.BinarySearchFunc(h.Tools, a.Name, func(o events.MCPOffer, name string) int { return cmp.Compare(o.Name, name) })
	return ok && h.Tools[i].Pin == a.Pin
}

// Unlisted lists the pins on mcp.tools of a server that nobody needs: no live
// executor lists them, and they are not approved.
func (c *Catalog) Unlisted(subsystem string, now time.Time) (keys []string) {
	needed := make(map[string]bool)
	for _, a := range c.subsystems[subsystem].Approved {
		needed[a.Pin] = true
	}
	for _, h := range c.health[subsystem] {
		if Live(&h, now) {
			for _, o := range h.Tools {
				needed[o.Pin] = true
			}
		}
	}
	for pin, t := range c.tools[subsystem] {
		if !needed[pin] {
			keys = append(keys, t.Key())
		}
	}
	slices.Sort(keys)
	return keys
}

// keepFor is how long the description of a tool is kept that nobody lists: the
// executor that saw it may be about to say so.
const keepFor = 5 * time.Minute

// Superseded lists those of Unlisted that are old enough to be taken away.
func (c *Catalog) Superseded(subsystem string, now time.Time) (keys []string) {
	for _, key := range c.Unlisted(subsystem, now) {
		_, pin, _ := strings.Cut(key, "/")
		if now.Sub(c.tools[subsystem][pin].SeenAt) > keepFor {
			keys = append(keys, key)
		}
	}
	return keys
}

// Definition is a tool as a server would list it.
func Definition(t *events.MCPTool) (json.RawMessage, error) {
	return events.EncodeJSON(struct {
		Name         string          `json:"name"`
		Description  string          `json:"description,omitempty"`
		InputSchema  json.RawMessage `json:"inputSchema"`
		OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
		Annotations  json.RawMessage `json:"annotations,omitempty"`
	}{t.Name, t.Description, t.InputSchema, t.OutputSchema, t.Annotations})
}
