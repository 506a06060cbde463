package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/leat-io/leat/examples/internal/ledger"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

func testDesk(t *testing.T) *desk {
	t.Helper()
	d, err := openDesk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func attempt(name, input string) executor.Task {
	return executor.Task{Task: events.Task{TaskName: name, IdempotencyKey: "k", Input: json.RawMessage(input)}}
}

// An attempt that is repeated has the same result, and no second effect.
func TestTasksRepeat(t *testing.T) {
	d := testDesk(t)
	for _, c := range []struct{ task, input, want string }{
		{"quakes.classify", `{"type":"earthquake","status":"reviewed","mag":5}`, `{"severity":"major"}`},
		{"quakes.classify", `{"type":"explosion","status":"reviewed","mag":null,"alert":null}`, `{"severity":"none"}`},
		{
			"quakes.notify", `{"id":"us1","type":"earthquake","status":"reviewed","mag":4.66,"place":"97km NW of Lae","time":1517944707290,"tsunami":1,"alert":"green"}`,
			`{"task_key":"k","quake":"us1","notice":"M 4.7, 97km NW of Lae, 2018-02-06 19:18 UTC, tsunami possible, green alert"}`,
		},
		{"quakes.map", `{"id":"us1","longitude":-118.6671667,"latitude":34.4945}`, `{"task_key":"k","quake":"us1","tile":"6/10/25"}`},
		{"quakes.publish", `{"id":"us1","notice":"n","tile":"6/10/25"}`, `{"task_key":"k","quake":"us1","notice":"n","tile":"6/10/25"}`},
	} {
		for range 2 {
			result, err := d.programs()[c.task](attempt(c.task, c.input))
			if err != nil {
				t.Fatalf("%s: %v", c.task, err)
			}
			if got, _ := json.Marshal(result); string(got) != c.want {
				t.Errorf("%s: %s, want %s", c.task, got, c.want)
			}
		}
	}
	for _, name := range []string{"notify.jsonl", "map.jsonl", "publish.jsonl"} {
		if got, err := ledger.Keys(filepath.Join(d.dir, name)); err != nil || len(got) != 1 || got["k"] != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestBadInputIsTerminal(t *testing.T) {
	_, err := testDesk(t).programs()["quakes.notify"](attempt("quakes.notify", `{"mag":"big"}`))
	var failure *events.Error
	if !errors.As(err, &failure) || failure.Code != "BAD_INPUT" || failure.Retryable {
		t.Errorf("%v", err)
	}
}

func TestTileAt(t *testing.T) {
	for _, c := range []struct {
		longitude, latitude float64
		want                string
	}{
		{0, 0, "6/32/32"},
		{-180, 85, "6/0/0"},
		{180, -85, "6/63/63"},
		{200, 95, "6/63/0"},
	} {
		if got := tileAt(c.longitude, c.latitude); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.longitude, c.latitude, got, c.want)
		}
	}
}
