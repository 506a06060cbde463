package registry

import (
	"log/slog"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

const source = "leat: v1\ntype: order\nversion: 1\ninitial: w\nstates: {w: {on: {ok: d}}, d: {type: final}}\n"

func definitionOf(t *testing.T, change func(*events.DefinitionRecord)) []byte {
	t.Helper()
	d := events.DefinitionRecord{
		WorkflowType: "order", Version: 1, Source: source, Partitions: 4, DeployedAt: time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC),
	}
	change(&d)
	value, err := avro.EncodeDefinition(&d)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// What counts is the first record of a key that can be used, whatever stands
// beside it.
func TestTheFirstThatCanBeUsedCounts(t *testing.T) {
	as := func(by string) []byte { return definitionOf(t, func(d *events.DefinitionRecord) { d.DeployedBy = by }) }
	useless := definitionOf(t, func(d *events.DefinitionRecord) { d.Source = "leat: v1\n" })
	second := func(partitions int32) []byte {
		return definitionOf(t, func(d *events.DefinitionRecord) {
			d.Version, d.Source, d.Partitions = 2, source[:len("leat: v1\ntype: order\nversion: ")]+"2"+source[len("leat: v1\ntype: order\nversion: 1"):], partitions
		})
	}
	type entry struct {
		key   string
		value []byte
	}
	for name, c := range map[string]struct {
		log  []entry
		want string // who deployed order@1, "" for none
		of   int    // versions
	}{
		"one":                       {[]entry{{"order@1", as("a")}}, "a", 1},
		"two":                       {[]entry{{"order@1", as("a")}, {"order@1", as("b")}}, "a", 1},
		"garbage first":             {[]entry{{"order@1", []byte("x")}, {"order@1", as("a")}}, "a", 1},
		"garbage behind":            {[]entry{{"order@1", as("a")}, {"order@1", []byte("x")}}, "a", 1},
		"no definition first":       {[]entry{{"order@1", useless}, {"order@1", as("a")}}, "a", 1},
		"a tombstone behind":        {[]entry{{"order@1", as("a")}, {"order@1", nil}, {"order@1", as("b")}}, "a", 1},
		"another key":               {[]entry{{"order@2", as("a")}, {"", as("b")}, {"order@01", as("c")}}, "", 0},
		"another key first":         {[]entry{{"order@2", as("b")}, {"order@1", as("a")}}, "a", 1},
		"a second version":          {[]entry{{"order@1", as("a")}, {"order@2", second(4)}}, "a", 2},
		"a second, more partitions": {[]entry{{"order@1", as("a")}, {"order@2", second(8)}}, "a", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
			for i, e := range c.log {
				r.apply(t.Context(), &kafka.Record{Key: []byte(e.key), Value: e.value, Offset: int64(i)})
			}
			records := r.Records()
			if len(records) != c.of {
				t.Fatalf("got %+v", records)
			}
			if c.of > 0 && (records[0].DeployedBy != c.want || r.Partitions("order") != 4) {
				t.Fatalf("got %+v", records[0])
			}
		})
	}
}
