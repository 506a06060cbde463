package main

import (
	"testing"

	"github.com/leat-io/leat/pkg/definition"
	"github.com/leat-io/leat/pkg/leattest"
)

// On the command line: leat def validate quake.yaml && leat def test quake_cases.json
func TestDefinition(t *testing.T) {
	if _, findings, err := definition.Parse("quake.yaml", source); err != nil || len(findings) > 0 {
		t.Errorf("%v\n%v", err, findings)
	}
	leattest.Cases(t, "quake_cases.json")
}

// Every quake of the feed fits the definition's input schema.
func TestFeedFitsTheSchema(t *testing.T) {
	machine, _, err := definition.Parse("quake.yaml", source)
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
