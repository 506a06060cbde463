package catalog

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Status says whether a tool may be called.
type Status string

// The statuses.
const (
	StatusApproved Status = "approved" // it is listed as it was approved
	StatusNew      Status = "new"      // nobody has approved it
	StatusChanged  Status = "changed"  // it is listed otherwise than it was approved
	StatusGone     Status = "gone"     // it was approved, and no executor sees it
	StatusRefused  Status = "refused"  // it is listed, and cannot be used
)

// Row is a tool of a server.
type Row struct {
	SubsystemID string
	Name        string
	Status      Status
	Policy      events.MCPToolPolicy
	Approved    *events.MCPApproval
	Listed      []Seen // newest first; of a tool that changes there may be several
	Message     string // why it was refused
}

// Seen is a description of a tool, and who sees it.
type Seen struct {
	Pin   string
	Nodes []string
	Tool  *events.MCPTool // nil when mcp.tools does not have it yet
}

// Pending reports whether there is something to approve.
func (r *Row) Pending() bool { return r.Status == StatusNew || r.Status == StatusChanged }

// Rows lists the tools of a server, by name: those that live executors see, and
// those that were approved.
func (c *Catalog) Rows(subsystem string, now time.Time) []Row {
	s, ok := c.subsystems[subsystem]
	if !ok {
		return nil
	}
	seen := make(map[string]map[string][]string) // tool, pin: nodes
	refused := make(map[string]string)
	for _, h := range c.Health(subsystem) {
		if !Live(&h, now) {
			continue
		}
		for _, o := range h.Tools {
			if seen[o.Name] == nil {
				seen[o.Name] = make(map[string][]string)
			}
			seen[o.Name][o.Pin] = append(seen[o.Name][o.Pin], h.NodeID)
		}
		for _, r := range h.Refused {
			refused[r.Name] = r.Message
		}
	}
	names := make(map[string]bool)
	for name := range seen {
		names[name] = true
	}
	for name := range refused {
		names[name] = true
	}
	for _, a := range s.Approved {
		names[a.Name] = true
	}
	var rows []Row
	for _, name := range slices.Sorted(maps.Keys(names)) {
		rows = append(rows, c.row(&s, name, seen[name], refused[name]))
	}
	return rows
}

func (c *Catalog) row(s *events.MCPSubsystem, name string, seen map[string][]string, refused string) Row {
	r := Row{SubsystemID: s.SubsystemID, Name: name, Policy: s.Policy(name)}
	if a, ok := s.Approval(name); ok {
		r.Approved = &a
	}
	for pin, nodes := range seen {
		listed := Seen{Pin: pin, Nodes: nodes}
		if t, ok := c.Tool(s.SubsystemID, pin); ok {
			listed.Tool = &t
		}
		r.Listed = append(r.Listed, listed)
	}
	slices.SortFunc(r.Listed, func(a, b Seen) int {
		return cmp.Or(seenAt(b).Compare(seenAt(a)), cmp.Compare(a.Pin, b.Pin))
	})
	switch {
	case len(r.Listed) == 0 && refused != "":
		r.Status, r.Message = StatusRefused, refused
	case len(r.Listed) == 0:
		r.Status = StatusGone
	case r.Approved == nil:
		r.Status = StatusNew
	case slices.ContainsFunc(r.Listed, func(l Seen) bool { return l.Pin != r.Approved.Pin }):
		r.Status = StatusChanged
	default:
		r.Status = StatusApproved
	}
	return r
}

func seenAt(s Seen) time.Time {
	if s.Tool == nil {
		return time.Time{}
	}
	return s.Tool.SeenAt
}

// Approve is the server with an approval of a tool as the pin names it.
func Approve(s events.MCPSubsystem, a events.MCPApproval) events.MCPSubsystem {
	s.Approved = slices.Clone(s.Approved)
	i, there := slices.BinarySearchFunc(s.Approved, a.Name, func(a events.MCPApproval, name string) int { return cmp.Compare(a.Name, name) })
	if there {
		s.Approved[i] = a
	} else {
		s.Approved = slices.Insert(s.Approved, i, a)
	}
	return s
}

// Revoke is the server without the approval of a tool.
func Revoke(s events.MCPSubsystem, tool string) events.MCPSubsystem {
	s.Approved = slices.DeleteFunc(slices.Clone(s.Approved), func(a events.MCPApproval) bool { return a.Name == tool })
	return s
}
