package output

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// hostile moves a cursor, sets a title, and turns the order of reading around.
const hostile = "a\x1b[31m\x1b]0;t\x07\u009b5m\u202eb\x7f"

// TestStrangersDoNotMoveTheCursor shows such a text in every way that a command
// has, in every format.
func TestStrangersDoNotMoveTheCursor(t *testing.T) {
	for _, format := range []string{"table", "json", "jsonl", "yaml"} {
		var out, errs bytes.Buffer
		p := &Printer{Format: format, Out: &out, Err: &errs}
		show := func(err error) {
			if err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
		show(p.Value(map[string]string{"k": hostile}, func(w io.Writer) {
			Fields(w, "k", hostile)
			_, _ = io.WriteString(w, hostile)
		}))
		show(List(p, []string{hostile}, func(items []string) Rows { return Rows{Header: []string{"k"}, Lines: [][]string{items}} }))
		p.Say("%s", hostile)
		p.Problem(problem.New(problem.Usage, hostile, hostile, hostile))
		text := out.String() + errs.String()
		if shown := events.ShowLines(text); shown != text {
			t.Errorf("%s: the terminal gets more than text:\n%s", format, shown)
		}
		if !strings.Contains(text, `[31m`) {
			t.Errorf("%s: what was written is not shown:\n%s", format, text)
		}
	}
}

func TestEscapesKeepTheValue(t *testing.T) {
	for format, read := range map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": yaml.Unmarshal} {
		var out bytes.Buffer
		p := &Printer{Format: format, Out: &out}
		if err := p.Value(map[string]string{"k": hostile}, nil); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := read(out.Bytes(), &back); err != nil || back["k"] != hostile {
			t.Errorf("%s: %v, %q from %s", format, err, back["k"], &out)
		}
	}
}
