package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Case is one test of a definition: what it is after the start, and after each
// item. What is nil is not compared.
type Case struct {
	Name       string                     `json:"name"`
	Group      string                     `json:"group,omitempty"`
	Definition json.RawMessage            `json:"definition,omitempty"`
	File       string                     `json:"file,omitempty"`  // instead of Definition; relative to the case file
	Input      json.RawMessage            `json:"input,omitempty"` // start payload
	Initial    []string                   `json:"initial"`
	DataAfter  map[string]json.RawMessage `json:"data_after,omitempty"`
	Events     []caseItem                 `json:"events"`
	Source     string                     `json:"source,omitempty"`
}

// caseItem is an item of a simulation with what is expected after it.
type caseItem struct {
	Item
	Active    []string
	DataAfter map[string]json.RawMessage
}

// UnmarshalJSON reads an item as a simulation takes it, with `active` and
// `data_after` beside its own fields.
func (c *caseItem) UnmarshalJSON(text []byte) error {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return c.Item.UnmarshalJSON(text)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	for name, into := range map[string]any{"active": &c.Active, "data_after": &c.DataAfter} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			delete(fields, name)
		}
	}
	rest, err := events.EncodeJSON(fields)
	if err != nil {
		return err
	}
	return c.Item.UnmarshalJSON(rest)
}

// TestCases runs the cases of the files, writes a line for each that fails, and
// ends with "N passed, N failed". The error is of a file that cannot be read.
func TestCases(w io.Writer, paths ...string) (failed int, err error) {
	passed := 0
	for _, path := range paths {
		cases, err := ReadCases(path)
		if err != nil {
			return failed, err
		}
		for i := range cases {
			if err := cases[i].Run(filepath.Dir(path)); err != nil {
				failed++
				if _, err := fmt.Fprintf(w, "FAIL %s: %v\n", cases[i].Name, err); err != nil {
					return failed, fmt.Errorf("write: %w", err)
				}
				continue
			}
			passed++
		}
	}
	if _, err := fmt.Fprintf(w, "%d passed, %d failed\n", passed, failed); err != nil {
		return failed, fmt.Errorf("write: %w", err)
	}
	return failed, nil
}

// ReadCases reads the cases of a file.
func ReadCases(path string) (cases []Case, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // who runs the cases names their files
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		return nil, fmt.Errorf("read cases: %s: %w", path, err)
	}
	return cases, nil
}

// Machine reads the definition that a case is of; dir is that of the case file.
func (c *Case) Machine(dir string) (*fsm.Machine, error) {
	name, src := c.Name, []byte(c.Definition)
	if c.File != "" {
		name = filepath.Join(dir, c.File)
		var err error
		if src, err = os.ReadFile(name); err != nil { //nolint:gosec // the case names its definition, as written beside it
			return nil, err
		}
	}
	machine, _, err := definition.Parse(name, src)
	return machine, err
}

// Run compares each step; the error says at which it differs, got and want. dir is
// that of the case file.
func (c *Case) Run(dir string) error {
	machine, err := c.Machine(dir)
	if err != nil {
		return err
	}
	s := New(machine)
	if err := s.Start(c.Input); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := compare(s, c.Initial, c.DataAfter); err != nil {
		return fmt.Errorf("after the start: %w", err)
	}
	for i := range c.Events {
		item := &c.Events[i]
		if err := s.Do(item.Item); err != nil {
			return fmt.Errorf("item %d (%s): %w", i+1, item.label(), err)
		}
		if err := compare(s, item.Active, item.DataAfter); err != nil {
			return fmt.Errorf("after item %d (%s): %w", i+1, item.label(), err)
		}
	}
	return nil
}

func (i *Item) label() string { return i.Event + i.Advance + i.Task }

func compare(s *Simulation, active []string, data map[string]json.RawMessage) error {
	if active != nil && !slices.Equal(active, s.Active()) {
		return fmt.Errorf("got active %v, want %v", s.Active(), active)
	}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		got, set := s.chart.Data[name]
		var text []byte
		if set {
			text, _ = got.MarshalJSON()
		} else {
			text = s.chart.Payloads[name]
		}
		if !events.SameJSON(text, data[name]) {
			return fmt.Errorf("got %s = %s, want %s", name, orNothing(text), data[name])
		}
	}
	return nil
}

func orNothing(text []byte) string {
	if len(text) == 0 {
		return "nothing"
	}
	return string(text)
}
