package problem

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite docs/reference/errors.md")

const page = "../../docs/reference/errors.md"

// areas are what the letters of codes say.
var areas = []struct{ letter, title string }{
	{"U", "The command line"},
	{"C", "The configuration"},
	{"K", "Kafka"},
	{"D", "The data directory"},
	{"F", "Definition files"},
	{"W", "Workflows"},
	{"S", "Schedules"},
	{"M", "MCP servers"},
	{"A", "The projector's API"},
	{"G", "The gateway for workers"},
	{"N", "Nodes"},
	{"X", "Everything else"},
}

// The page of errors is the registry.
func TestReference(t *testing.T) {
	got := reference(t)
	if *rewrite {
		if err := os.WriteFile(page, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s does not say what the registry says: go test ./internal/problem -rewrite", page)
	}
}

func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Errors

An error says what happened, why, and what to do, with a code whose meaning never changes:

` + "```console" + `
$ leat def deploy order.yaml
error[LEAT-K001]: no Kafka broker answers at 127.0.0.1:9092
  why : dial tcp 127.0.0.1:9092: connect: connection refused
  fix : start one with ` + "`leat dev`" + `, or name yours with --brokers or KAFKA_BROKERS
` + "```" + `

With ` + "`-o json`" + ` it is one line of JSON with the same parts. For scripts, the exit code says what kind of error it is:

| Exit | Means |
|---|---|
| 0 | done |
| 1 | an error |
| 2 | a usage error |
| 3 | not found |
| 4 | a conflict |
| 5 | not authorized |
| 6 | unavailable, or timed out |
| 7 | the workflow itself failed |
| 130 | interrupted by Ctrl-C |

This page is made from ` + "`internal/problem/registry.go`" + `; a test compares them.
`)
	listed := 0
	for _, area := range areas {
		fmt.Fprintf(&b, "\n## %s\n\n| Code | Exit | What | What to do |\n|---|---|---|---|\n", area.title)
		for _, c := range Codes() {
			if strings.HasPrefix(string(c), "LEAT-"+area.letter) {
				k := Describe(c)
				fmt.Fprintf(&b, "| `%s` | %d | %s | %s |\n", c, k.Exit, cell(k.Title), cell(k.Fix))
				listed++
			}
		}
	}
	if listed != len(Codes()) {
		t.Fatalf("%d of %d codes are in an area: add the letter to areas", listed, len(Codes()))
	}
	return b.String()
}

// cell is text that a cell of a Markdown table can hold.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
