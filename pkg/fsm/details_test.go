package fsm_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leat-io/leat/pkg/events"
)

// Heartbeat details are a help, and no way to make an instance too large.
func TestHeartbeatDetailsAreBounded(t *testing.T) {
	s := &script{now: noon}
	do := func(cmd, arg, input string) {
		t.Helper()
		d := &datadriven.TestData{Cmd: cmd, Input: input}
		if arg != "" {
			d.CmdArgs = []datadriven.CmdArg{{Key: arg}}
		}
		if out, err := s.run(d); err != nil || strings.HasPrefix(out, "error") {
			t.Fatal(out, err)
		}
	}
	do("define", "", `
initial: a
states:
  a:
    tasks: {t1: {task: q.w}, t2: {task: q.w}, t3: {task: q.w}, t4: {task: q.w}, t5: {task: q.w}}
    onDone: b
    onError: b
  b: {type: final}
`)
	do("start", "", "")
	large := `"` + strings.Repeat("x", events.MaxDetailsLength-2) + `"`
	for _, task := range []string{"t1", "t2", "t3", "t4", "t5"} {
		do("claim", task, "")
		do("beat", task, `"before"`)
	}
	for _, task := range []string{"t1", "t2", "t3", "t4", "t5", "t1"} {
		do("beat", task, large)
	}
	for i, want := range []string{large, large, large, `"before"`, `"before"`} {
		if got := s.chart.Tasks[i].HeartbeatDetails; string(got) != want {
			t.Errorf("task %d has %.20s (%d bytes), want %.20s", i, got, len(got), want)
		}
	}
	do("done", "t1", "")
	do("beat", "t4", large)
	if got := s.chart.Tasks; got[0].HeartbeatDetails != nil || string(got[3].HeartbeatDetails) != large {
		t.Error("what a completed task told still counts")
	}
}

// A definition that lets payloads be small lets details be small.
func TestHeartbeatDetailsKeepToTheLimits(t *testing.T) {
	s := &script{now: noon}
	for _, d := range []*datadriven.TestData{
		{Cmd: "define", Input: "\nlimits: {max_payload_bytes: 1024}\ninitial: a\nstates:\n  a: {invoke: {task: q.w, onDone: b, onError: b}}\n  b: {type: final}\n"},
		{Cmd: "start"},
		{Cmd: "claim", CmdArgs: []datadriven.CmdArg{{Key: "a"}}},
		{Cmd: "beat", CmdArgs: []datadriven.CmdArg{{Key: "a"}}, Input: `{"page":1}`},
		{Cmd: "beat", CmdArgs: []datadriven.CmdArg{{Key: "a"}}, Input: `"` + strings.Repeat("x", 1024) + `"`},
	} {
		if out, err := s.run(d); err != nil {
			t.Fatal(out, err)
		}
	}
	if got := s.chart.Tasks[0].HeartbeatDetails; string(got) != `{"page":1}` || !json.Valid(got) {
		t.Errorf("got %s", got)
	}
}
