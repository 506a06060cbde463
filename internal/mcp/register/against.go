package register

import (
	"cmp"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/pkg/events"
)

// Against says what is wrong with a server beside those that are registered, and
// gives the record to write: approvals stay, since a tool is called as it was
// approved, wherever it is. changed is false when it is registered so already. A
// server that is registered otherwise is a duplicate, unless update allows to
// change it.
func Against(c *catalog.Catalog, s events.MCPSubsystem, update bool) (out events.MCPSubsystem, changed bool, all []Finding) {
	there, known := c.Subsystem(s.SubsystemID)
	if known {
		s.RegisteredAt, s.Approved = there.RegisteredAt, there.Approved
		if Same(&s, &there) {
			return there, false, nil
		}
		if !update {
			all = append(all, Finding{
				Severity: Mistake, Subsystem: s.SubsystemID, Field: "id",
				Message: fmt.Sprintf("%q is registered already, version %s, on %s%s: --update changes it", s.SubsystemID, there.Version, there.UpdatedAt.Format(time.DateOnly), by(there.UpdatedBy)),
			})
		}
	}
	for _, other := range c.Subsystems() {
		if other.SubsystemID == s.SubsystemID {
			continue
		}
		switch {
		case s.HTTP != "" && other.HTTP == s.HTTP:
			all = append(all, Finding{Severity: Warning, Subsystem: s.SubsystemID, Field: "http", Message: fmt.Sprintf("is that of %q, too: calls may go to one server in two ways", other.SubsystemID)})
		case s.Stdio != "" && other.Stdio == s.Stdio:
			all = append(all, Finding{Severity: Warning, Subsystem: s.SubsystemID, Field: "stdio", Message: fmt.Sprintf("is that of %q, too: the command runs twice", other.SubsystemID)})
		}
	}
	return s, true, all
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + events.Show(who)
}

// Same reports whether two records differ in nothing but when and by whom they
// were written.
func Same(a, b *events.MCPSubsystem) bool {
	x, y := *a, *b
	x.UpdatedAt, x.UpdatedBy = y.UpdatedAt, y.UpdatedBy
	one, errOne := events.EncodeJSON(x)
	other, errOther := events.EncodeJSON(y)
	return errOne == nil && errOther == nil && string(one) == string(other)
}

// Document is a server as a file has it, and as the command line shows it.
type Document struct {
	ID          string                  `json:"id"`
	Name        string                  `json:"name"`
	Type        string                  `json:"type"`
	Version     string                  `json:"version"`
	Description string                  `json:"description,omitempty"`
	Tags        []string                `json:"tags,omitempty"`
	HTTP        string                  `json:"http,omitempty"`
	Stdio       string                  `json:"stdio,omitempty"`
	Key         *events.MCPKey          `json:"key,omitempty"`
	Trust       string                  `json:"trust"`
	Effects     string                  `json:"effects,omitempty"`
	Weight      int32                   `json:"weight"`
	Limits      DocumentLimits          `json:"limits"`
	Tools       map[string]DocumentTool `json:"tools,omitempty"`
}

// DocumentLimits are the bounds of a call, with the defaults.
type DocumentLimits struct {
	Idle        string `json:"idle"`
	Call        string `json:"call"`
	ResultBytes int64  `json:"resultBytes"`
	InFlight    int32  `json:"inFlight"`
	PerSecond   int32  `json:"perSecond,omitempty"`
}

// DocumentTool is what the operator says of a tool.
type DocumentTool struct {
	Repeat       string   `json:"repeat,omitempty"`
	Type         string   `json:"type,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
}

// DocumentOf is the file of a record. Parse gives the record again.
func DocumentOf(s *events.MCPSubsystem) Document {
	l := s.Limits.OrDefaults()
	d := Document{
		ID: s.SubsystemID, Name: s.Name, Type: string(s.Type), Version: s.Version, Description: s.Description, Tags: s.Tags, HTTP: s.HTTP, Stdio: s.Stdio,
		Key: s.Key, Trust: string(cmp.Or(s.Trust, events.MCPTrustNone)), Effects: s.Effects, Weight: s.Weight,
		Limits: DocumentLimits{Idle: l.Idle.String(), Call: l.Call.String(), ResultBytes: l.ResultBytes, InFlight: l.InFlight, PerSecond: l.PerSecond},
	}
	for _, t := range s.Tools {
		if d.Tools == nil {
			d.Tools = make(map[string]DocumentTool, len(s.Tools))
		}
		d.Tools[t.Name] = DocumentTool{Repeat: t.Repeat, Type: string(t.Type), Capabilities: t.Capabilities}
	}
	return d
}
