// Package output writes what a command found: data to standard output, as a
// table for people or as JSON, JSON lines or YAML for programs, and talk to
// standard error. What others wrote (keys, reasons, errors) reaches a terminal as
// visible text only. It does not know what is printed.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// Printer writes data to standard output in the format that was asked for, and
// talk to standard error.
type Printer struct {
	Format   string // table, json, jsonl, yaml, or one of the command's own
	Out, Err io.Writer
	Color    bool // whether Out is a terminal that shows colors
	ErrColor bool
}

// FormatsOf is the annotation of a command whose -o means something else; the
// first of its words is the default.
const FormatsOf = "formats"

// Check completes and checks -o. special is the command's own list, "" mostly.
func (p *Printer) Check(special string, given bool) error {
	known := []string{"table", "json", "jsonl", "yaml"}
	if special != "" {
		known = strings.Fields(special)
		if !given {
			p.Format = known[0]
		}
	}
	if slices.Contains(known, p.Format) {
		return nil
	}
	asked := p.Format
	p.Format = "table"
	return problem.New(problem.Usage, fmt.Sprintf("%q is not an output format", asked), "", "use -o "+strings.Join(known, ", -o "))
}

// Say talks to the person, not to the program that reads the data.
func (p *Printer) Say(format string, args ...any) {
	_, _ = fmt.Fprintf(shown{p.Err}, format+"\n", args...)
}

// shown writes to people what others wrote: see [events.Show]. Every write holds
// whole characters.
type shown struct{ io.Writer }

func (w shown) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, events.ShowLines(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Problem shows an error.
func (p *Printer) Problem(err *problem.Problem) {
	if p.Format == "json" || p.Format == "jsonl" {
		err.WriteJSON(p.Err)
		return
	}
	err.WriteText(p.Err, p.ErrColor)
}

// Rows is how a value looks as a table.
type Rows struct {
	Header []string
	Lines  [][]string
	// Right lists the columns that hold numbers, from 1.
	Right []int
}

// Value prints one value. people prints it for people.
func (p *Printer) Value(v any, people func(io.Writer)) error {
	switch p.Format {
	case "json":
		return writeJSON(p.Out, v, "  ")
	case "jsonl":
		return writeJSON(p.Out, v, "")
	case "yaml":
		return writeYAML(p.Out, v)
	default:
		people(shown{p.Out})
		return nil
	}
}

// List prints many values: as one JSON array, one JSON object a line, one YAML
// list, or one table.
func List[T any](p *Printer, items []T, show func([]T) Rows) error {
	switch p.Format {
	case "jsonl":
		for _, item := range items {
			if err := writeJSON(p.Out, item, ""); err != nil {
				return err
			}
		}
		return nil
	case "json", "yaml":
		if items == nil {
			items = []T{}
		}
		return p.Value(items, nil)
	default:
		p.Table(show(items))
		return nil
	}
}

// Table prints rows with their header.
func (p *Printer) Table(r Rows) {
	t := table.NewWriter()
	t.SetOutputMirror(p.Out)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	if p.Color {
		style.Color.Header = text.Colors{text.Bold}
	}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(cells(r.Header))
	for _, line := range r.Lines {
		t.AppendRow(cells(line))
	}
	var columns []table.ColumnConfig
	for _, n := range r.Right {
		columns = append(columns, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	t.Render()
}

func cells(line []string) table.Row {
	row := make(table.Row, len(line))
	for i, c := range line {
		row[i] = events.Show(c)
	}
	return row
}

// Fields prints name and value, one a line, and skips what is empty.
func Fields(w io.Writer, pairs ...string) {
	width := 0
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			width = max(width, len(pair[0]))
		}
	}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] = events.Show(pair[1]); pair[1] != "" {
			_, _ = fmt.Fprintf(w, "%-*s  %s\n", width, pair[0], pair[1])
		}
	}
}

// writeJSON writes what is not seen as escapes of JSON, so that the value is the
// same and a terminal is left alone.
func writeJSON(w io.Writer, v any, indent string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(events.ShowJSON(text.Bytes()))
	return err
}
