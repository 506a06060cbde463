// Package definition reads definitions of workflows: YAML or JSON becomes a
// [fsm.Machine], which decides without a broker, a clock or anything else.
//
//	machine, findings, err := definition.Parse("order.yaml", source)
//	chart, effects, err := machine.Step(events.Chart{}, fsm.Input{Kind: fsm.InputStart, …})
//
// It is for tools that read definitions and for programs with an engine of
// their own. To run workflows, deploy the definition with pkg/client; to test one,
// use pkg/leattest.
package definition

import (
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/fsm"
)

// Finding is something to say about a definition, and where.
type Finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`     // from 1
	Col      int    `json:"col"`      // from 1
	Severity string `json:"severity"` // error or warning
	Text     string `json:"text"`
	Rule     string `json:"rule"` // its stable name, see docs/reference/definition.md
}

// String reads "file:line:col: severity: text [rule]".
func (f Finding) String() string { return definition.Finding(f).String() }

// Parse reads a definition, checks it, and compiles it with its CEL expressions.
// name appears in messages only. The findings are all that is worth saying, warnings
// too, in the order of the source. With an error among them there is no machine,
// and the error lists those. A machine is safe for concurrent use.
func Parse(name string, source []byte) (*fsm.Machine, []Finding, error) {
	machine, found, err := definition.Parse(name, source)
	findings := make([]Finding, len(found))
	for i, f := range found {
		findings[i] = Finding(f)
	}
	return machine, findings, err
}
