package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestWrongCommandLines(t *testing.T) {
	for _, args := range [][]string{{"bogus"}, {"run", "--bogus"}, {"run", "more"}, {"run", "--review-within", "-1s"}, {"start", "--once"}, {"task"}} {
		if err := command(context.Background(), args); !errors.Is(err, errUsage) || exitCode(err) != 2 {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestTaskAsAProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LEAT_IDEMPOTENCY_KEY", "k1")
	var out bytes.Buffer
	if err := task([]string{"quakes.map", dir}, strings.NewReader(`{"id":"us1","longitude":0,"latitude":0}`), &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), `{"task_key":"k1","quake":"us1","tile":"6/32/32"}`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := task([]string{"quakes.map", dir}, strings.NewReader(`{"id":3}`), &out); exitCode(err) != 65 {
		t.Errorf("bad input: %v, exit code %d", err, exitCode(err))
	}
	if err := task([]string{"quakes.bogus", dir}, strings.NewReader(`{}`), &out); exitCode(err) != 2 {
		t.Errorf("no such task: %v", err)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestResultsSayWhatHappened(t *testing.T) {
	want := Table{Dismissed: 28, Unreviewed: 456, Alerted: 88, Filed: 1135}
	all := view{Table: want, present: 1707, finished: 1707, events: 11314}
	for name, c := range map[string]struct {
		r    results
		want string
	}{
		"the first run":  {results{view: all, own: true, tasks: 1971, signals: 33, busy: 1e9}, "3,711 commands (starts, signals, task results) in 1.0 s: 3,711 a second"},
		"the second run": {results{view: all, own: true, before: all}, "0 started, 1,707 were already there.\nAll 1,707 finished after 0.0 s, with 11,314 events in their histories.\nNothing has changed"},
		"a late review":  {results{view: view{Table: Table{Dismissed: 28, Unreviewed: 457, Alerted: 88, Filed: 1134}}}, "it would have been 28, 456, 88 and 1135"},
		"a failed task":  {results{view: view{odd: []string{"us1"}}}, "1 ended elsewhere: us1"},
	} {
		var out strings.Builder
		c.r.print(&out, want)
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: no %q in\n%s", name, c.want, out.String())
		}
	}
	var out strings.Builder
	if err := (results{view: all, took: 6_500_000_000}).printJSON(&out); err != nil || out.String() != `{"dismissed":28,"unreviewed":456,"alerted":88,"filed":1135,"events":11314,"seconds":6.5}`+"\n" {
		t.Errorf("%v %s", err, out.String())
	}
}
