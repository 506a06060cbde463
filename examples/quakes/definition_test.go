package main

import (
	"strings"
	"testing"

	internal "github.com/leat-io/leat/internal/definition"
)

// Users write: leat def validate quake.yaml && leat def test quake_cases.json
func TestDefinition(t *testing.T) {
	if _, findings, err := internal.Parse("quake.yaml", definition); err != nil || len(findings) > 0 {
		t.Errorf("%v\n%v", err, findings)
	}
	var out strings.Builder
	failed, err := internal.TestCases(&out, "quake_cases.json")
	if err != nil || failed > 0 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Every quake of the feed fits the definition's input schema.
func TestFeedFitsTheSchema(t *testing.T) {
	machine, _, err := internal.Parse("quake.yaml", definition)
	if err != nil {
		t.Fatal(err)
	}
	quakes, err := readFeed(feedText)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range quakes {
		input, err := startInput(q, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := machine.CheckInput(input); err != nil {
			t.Errorf("%s: %v", q.ID, err)
		}
	}
}
