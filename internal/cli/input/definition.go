package input

import (
	"io"
	"strings"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/fsm"
)

// Report is what `leat def validate` says of one file.
type Report struct {
	File     string              `json:"file"`
	Valid    bool                `json:"valid"`
	Type     string              `json:"type,omitempty"`
	Version  int32               `json:"version,omitempty"`
	Findings definition.Findings `json:"findings"`
}

// Check reads and compiles one definition. The error is that of reading only:
// what is wrong with the definition is in the report.
func Check(in io.Reader, path string) (*fsm.Machine, Report, error) {
	r := Report{File: path}
	src, err := Text(in, path)
	if err != nil {
		return nil, r, err
	}
	machine, findings, err := definition.Parse(path, src)
	r.Findings, r.Valid = findings, err == nil
	if err != nil && !findings.HasErrors() {
		return nil, r, NoDefinition(path, nil, err)
	}
	if machine != nil {
		r.Type, r.Version = machine.Type(), machine.Version()
	}
	return machine, r, nil
}

// Problem is that of a file with errors. shown says that the findings have been
// printed.
func (r Report) Problem(shown bool) error {
	p := problem.New(problem.DefinitionInvalid, r.File+" is not a valid definition", "", "")
	if !shown {
		p.Why = strings.TrimSpace(r.Findings.Err().Error())
	}
	return p
}

// NoDefinition is the problem of a source that is no definition.
func NoDefinition(path string, findings definition.Findings, err error) error {
	if findings.HasErrors() {
		return Report{File: path, Findings: findings}.Problem(false)
	}
	return problem.Wrap(problem.DefinitionInvalid, path+" cannot be read as a definition", err)
}

// Definition reads a definition and insists that it is valid.
func Definition(in io.Reader, path string) (*fsm.Machine, error) {
	machine, r, err := Check(in, path)
	if err != nil {
		return nil, err
	}
	if !r.Valid {
		return nil, r.Problem(false)
	}
	return machine, nil
}
