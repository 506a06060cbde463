package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// printer writes data to standard output in the format that was asked for, and
// talk to standard error.
type printer struct {
	format   string
	out, err io.Writer
	color    bool // of out
	errColor bool
}

func newPrinter(s streams) *printer {
	plain := slices.ContainsFunc(s.environ, func(pair string) bool {
		return strings.HasPrefix(pair, "NO_COLOR=") && pair != "NO_COLOR=" || pair == "TERM=dumb"
	})
	return &printer{
		format: "table", out: s.out, err: s.err,
		color: !plain && boot.IsTerminal(s.out), errColor: !plain && boot.IsTerminal(s.err),
	}
}

// formatsOf is the annotation of a command whose -o means something else; the
// first of its words is the default.
const formatsOf = "formats"

// check completes and checks -o. special is the command's own list, "" mostly.
func (p *printer) check(special string, given bool) error {
	known := []string{"table", "json", "jsonl", "yaml"}
	if special != "" {
		known = strings.Fields(special)
		if !given {
			p.format = known[0]
		}
	}
	if slices.Contains(known, p.format) {
		return nil
	}
	asked := p.format
	p.format = "table"
	return problem.New(problem.Usage, fmt.Sprintf("%q is no output format", asked), "", "use -o "+strings.Join(known, ", -o "))
}

// say talks to the person, not to the program that reads the data.
func (p *printer) say(format string, args ...any) {
	_, _ = fmt.Fprintf(shown{p.err}, format+"\n", args...)
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

// problem shows an error.
func (p *printer) problem(err *problem.Problem) {
	if p.format == "json" || p.format == "jsonl" {
		err.WriteJSON(p.err)
		return
	}
	err.WriteText(p.err, p.errColor)
}

// rows is how a value looks as a table.
type rows struct {
	header []string
	lines  [][]string
	// right lists the columns that hold numbers, from 1.
	right []int
}

// value prints one value. people prints it for people.
func (p *printer) value(v any, people func(io.Writer)) error {
	switch p.format {
	case "json":
		return writeJSON(p.out, v, "  ")
	case "jsonl":
		return writeJSON(p.out, v, "")
	case "yaml":
		return writeYAML(p.out, v)
	default:
		people(shown{p.out})
		return nil
	}
}

// list prints many values: as one JSON array, one JSON object a line, one YAML
// list, or one table.
func list[T any](p *printer, items []T, show func([]T) rows) error {
	switch p.format {
	case "jsonl":
		for _, item := range items {
			if err := writeJSON(p.out, item, ""); err != nil {
				return err
			}
		}
		return nil
	case "json", "yaml":
		if items == nil {
			items = []T{}
		}
		return p.value(items, nil)
	default:
		p.table(show(items))
		return nil
	}
}

func (p *printer) table(r rows) {
	t := table.NewWriter()
	t.SetOutputMirror(p.out)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	if p.color {
		style.Color.Header = text.Colors{text.Bold}
	}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(cells(r.header))
	for _, line := range r.lines {
		t.AppendRow(cells(line))
	}
	var columns []table.ColumnConfig
	for _, n := range r.right {
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

// fields prints name and value, one a line, and skips what is empty.
func fields(w io.Writer, pairs ...string) {
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
