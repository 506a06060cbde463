// Package register reads the files that describe MCP servers, YAML or JSON, and
// says everything that is wrong with them at once, each with the path of its
// field, a line and a column. schemas/subsystem.schema.json says the same to
// editors.
package register

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/pkg/events"
)

// Severity says whether a finding keeps a server from being registered.
type Severity string

// The severities.
const (
	Mistake Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing that is wrong.
type Finding struct {
	Severity  Severity `json:"severity"`
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line,omitempty"`
	Column    int      `json:"column,omitempty"`
	Subsystem string   `json:"subsystem_id,omitempty"`
	Field     string   `json:"field"` // such as limits.idle; "" for the whole
	Message   string   `json:"message"`
}

// String reads file:line:column: field: message.
func (f Finding) String() string {
	var b strings.Builder
	if f.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	}
	if f.Severity == Warning {
		b.WriteString("warning: ")
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Failed reports whether any finding is a mistake.
func Failed(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Severity == Mistake })
}

// MaxFile bounds a file, in bytes.
const MaxFile = 1 << 20

// Parse reads the servers of a file, one a document. at is when they are
// registered. A server with findings is not to be used.
func Parse(file string, text []byte, at time.Time) (servers []events.MCPSubsystem, all []Finding) {
	if len(text) > MaxFile {
		return nil, []Finding{{Severity: Mistake, File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file is %d bytes, at most %d", len(text), MaxFile)}}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	seen := make(map[string]bool)
	for n := 1; ; n++ {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			if n == 1 {
				all = append(all, Finding{Severity: Mistake, File: file, Line: 1, Column: 1, Message: "the file is empty"})
			}
			return servers, all
		}
		if err != nil {
			return servers, append(all, Finding{Severity: Mistake, File: file, Line: 1, Column: 1, Message: "this is neither YAML nor JSON: " + err.Error()})
		}
		r := &reader{file: file, places: make(map[string]place)}
		s := r.subsystem(root.Content[0])
		s.RegisteredAt, s.UpdatedAt = at, at
		r.problems(&s)
		if id := s.SubsystemID; id != "" && seen[id] {
			r.report("id", fmt.Sprintf("%q is in this file twice", id))
		}
		seen[s.SubsystemID] = true
		for i := range r.all {
			r.all[i].Subsystem = s.SubsystemID
		}
		slices.SortStableFunc(r.all, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
		servers, all = append(servers, s), append(all, r.all...)
	}
}

type place struct{ line, column int }

// reader reads one document. It notes where each field stands, for what is found
// out about the record later.
type reader struct {
	file   string
	places map[string]place
	all    []Finding
}

func (r *reader) report(path, message string) {
	at, ok := r.places[path]
	for up := path; !ok && up != ""; { // the nearest that is there
		i := strings.LastIndexByte(up, '.')
		up = up[:max(i, 0)]
		at, ok = r.places[up]
	}
	r.all = append(r.all, Finding{Severity: Mistake, File: r.file, Line: at.line, Column: at.column, Field: path, Message: message})
}

// fields are those of a map. An unknown one, and one that is there twice, is
// reported. nil known takes every name.
func (r *reader) fields(n *yaml.Node, path string, known []string) map[string]*yaml.Node {
	if _, noted := r.places[path]; !noted {
		r.places[path] = place{n.Line, n.Column}
	}
	if n.Kind == yaml.AliasNode || n.Kind != yaml.MappingNode {
		r.report(path, "is not a map of fields")
		return nil
	}
	found := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		r.places[at] = place{key.Line, key.Column}
		switch {
		case found[key.Value] != nil:
			r.report(at, "is there twice")
		case known != nil && !slices.Contains(known, key.Value):
			r.report(at, unknown(key.Value, known))
		default:
			found[key.Value] = value
		}
	}
	return found
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func unknown(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(strings.ReplaceAll(name, "_", ""), k) {
			return "is no field; did you mean " + k + "?"
		}
	}
	return "is no field; those are " + strings.Join(known, ", ")
}

// text is a scalar as it is written, "" when there is none.
func (r *reader) text(n *yaml.Node, path string) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		r.report(path, "is not a text")
		return ""
	}
	return n.Value
}

func (r *reader) number(n *yaml.Node, path string, unset int64) int64 {
	if n == nil {
		return unset
	}
	value, err := strconv.ParseInt(n.Value, 10, 64)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.report(path, "is not a whole number")
		return unset
	}
	return value
}

func (r *reader) duration(n *yaml.Node, path string) time.Duration {
	if n == nil {
		return 0
	}
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d%time.Millisecond != 0 {
		r.report(path, "is not a duration such as 30s or 5m")
		return 0
	}
	if d == 0 {
		r.report(path, "is 0: leave it out for the default")
	}
	return d
}

func (r *reader) texts(n *yaml.Node, path string) (all []string) {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.report(path, "is not a list")
		return nil
	}
	for _, item := range n.Content {
		all = append(all, r.text(item, path))
	}
	return all
}

// Fields are those of a document, in the order in which one is written.
func Fields() []string {
	return []string{"id", "name", "type", "version", "description", "tags", "http", "stdio", "key", "trust", "effects", "weight", "limits", "tools"}
}

//nolint:gochecknoglobals // lists that never change
var (
	keyFields   = []string{"env", "file", "header"}
	limitFields = []string{"idle", "call", "resultBytes", "inFlight", "perSecond"}
	toolFields  = []string{"repeat", "type", "capabilities"}
)

func (r *reader) subsystem(n *yaml.Node) (s events.MCPSubsystem) {
	f := r.fields(n, "", Fields())
	s = events.MCPSubsystem{
		SubsystemID: r.text(f["id"], "id"), Name: r.text(f["name"], "name"), Type: events.MCPSubsystemType(r.text(f["type"], "type")),
		Version: r.text(f["version"], "version"), Description: r.text(f["description"], "description"), Tags: r.texts(f["tags"], "tags"),
		HTTP: r.text(f["http"], "http"), Stdio: r.text(f["stdio"], "stdio"), Effects: r.text(f["effects"], "effects"),
		Trust:  cmp.Or(events.MCPTrust(r.text(f["trust"], "trust")), events.MCPTrustNone),
		Weight: int32(min(max(r.number(f["weight"], "weight", 1), -1), 1<<20)),
	}
	s.Name = cmp.Or(s.Name, s.SubsystemID)
	if f["key"] != nil {
		k := r.fields(f["key"], "key", keyFields)
		s.Key = &events.MCPKey{Env: r.text(k["env"], "key.env"), File: r.text(k["file"], "key.file"), Header: r.text(k["header"], "key.header")}
	}
	if f["limits"] != nil {
		s.Limits = r.limits(r.fields(f["limits"], "limits", limitFields))
	}
	if f["tools"] != nil {
		s.Tools = r.tools(r.fields(f["tools"], "tools", nil))
	}
	return s
}

func (r *reader) limits(l map[string]*yaml.Node) events.MCPLimits {
	small := func(name string) int32 {
		return int32(min(max(r.number(l[name], "limits."+name, 0), -1), 1<<30))
	}
	return events.MCPLimits{
		Idle: r.duration(l["idle"], "limits.idle"), Call: r.duration(l["call"], "limits.call"),
		ResultBytes: r.number(l["resultBytes"], "limits.resultBytes", 0), InFlight: small("inFlight"), PerSecond: small("perSecond"),
	}
}

func (r *reader) tools(all map[string]*yaml.Node) (tools []events.MCPToolPolicy) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		path := "tools." + name
		t := r.fields(all[name], path, toolFields)
		tools = append(tools, events.MCPToolPolicy{
			Name: name, Repeat: r.text(t["repeat"], path+".repeat"), Type: events.MCPToolType(r.text(t["type"], path+".type")),
			Capabilities: r.texts(t["capabilities"], path+".capabilities"),
		})
	}
	return tools
}

// problems reports what is wrong with the record, under the names of the file.
func (r *reader) problems(s *events.MCPSubsystem) {
	names := strings.NewReplacer("subsystem_id", "id", "idle_ms", "idle", "call_ms", "call", "result_bytes", "resultBytes", "in_flight", "inFlight", "per_second", "perSecond")
	for _, err := range s.Problems() {
		field, ok := errors.AsType[*events.FieldError](err)
		if !ok {
			continue
		}
		path := field.Field
		if !strings.HasPrefix(path, "tools.") {
			path = names.Replace(path)
		}
		if slices.ContainsFunc(r.all, func(f Finding) bool { return f.Field == path }) {
			continue // what it is missing was said in more detail
		}
		r.report(path, field.Reason)
	}
}
