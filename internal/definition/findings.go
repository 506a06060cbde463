package definition

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/fsm"
)

// Finding is something wrong with a definition, and where.
type Finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Col      int    `json:"col"`
	Severity string `json:"severity"` // error or warning
	Text     string `json:"text"`
	Rule     string `json:"rule"` // stable name
}

// String reads "file:line:col: severity: text [rule]".
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s [%s]", f.File, f.Line, f.Col, f.Severity, f.Text, f.Rule)
}

// Findings are in the order of the file.
type Findings []Finding

// HasErrors reports whether one of them stops the definition.
func (l Findings) HasErrors() bool {
	return slices.ContainsFunc(l, func(f Finding) bool { return f.Severity == fsm.SeverityError.String() })
}

// String is one finding a line.
func (l Findings) String() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil without errors, else an error that lists them.
func (l Findings) Err() error {
	if !l.HasErrors() {
		return nil
	}
	var lines []string
	for _, f := range l {
		if f.Severity == fsm.SeverityError.String() {
			lines = append(lines, f.String())
		}
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// MarshalJSON writes a list, also when there are none.
func (l Findings) MarshalJSON() ([]byte, error) { return json.Marshal(append([]Finding{}, l...)) }

// collect turns what fsm found into findings, sorted, none twice.
func collect(file string, list []fsm.Finding) Findings {
	out := make(Findings, 0, len(list))
	for _, f := range list {
		out = append(out, Finding{
			File: file, Line: max(f.Pos.Line, 1), Col: max(f.Pos.Col, 1), Severity: f.Severity.String(), Text: f.Text, Rule: f.Rule,
		})
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(out)
}
