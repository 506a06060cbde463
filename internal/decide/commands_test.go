package decide

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// TestEveryCommandHasARow says that the table of commands is whole, and that
// what operators ask for is audited, and nothing else.
func TestEveryCommandHasARow(t *testing.T) {
	for _, c := range events.CommandTypes() {
		k := kindOf(c)
		if k.decide == nil || k.from == 0 {
			t.Errorf("%s: nobody sends it, or nothing decides it: %+v", c, k)
		}
		if (k.possible == nil) != (k.to == "") {
			t.Errorf("%s: it leads to %q, and whether it is possible is said: %v", c, k.to, k.possible != nil)
		}
		if operated := k.from&operators != 0; operated != k.audited || operated != (k.to != "" || k.evolves) {
			t.Errorf("%s: of operators %v, audited %v, leads to %q, evolves %v", c, operated, k.audited, k.to, k.evolves)
		}
		if (k.input != 0) != (k.from&executors != 0) {
			t.Errorf("%s: of executors, and the statechart takes it for %d", c, k.input)
		}
	}
	if k := kindOf("unknown"); k.decide != nil || OfOperator(nil) {
		t.Errorf("an unknown command has the row %+v", k)
	}
}

// TestWhatIsPossibleIsLegal compares what can be asked for with the legal
// transitions of instances.
func TestWhatIsPossibleIsLegal(t *testing.T) {
	for _, state := range events.WorkflowStates() {
		legal := func(c events.CommandType) bool { return fsm.LegalWorkflow(state, kindOf(c).to) }
		for _, c := range possible(&events.Snapshot{State: state}) {
			if !legal(c) {
				t.Errorf("%s is possible in state %s, and cannot lead to %s", c, state, kindOf(c).to)
			}
		}
	}
	for _, c := range []struct {
		what string
		snap events.Snapshot
		want string
	}{
		{"pending", events.Snapshot{State: events.WorkflowPending}, "[cancel terminate]"},
		{"running", events.Snapshot{State: events.WorkflowRunning}, "[pause cancel terminate]"},
		{"behind", events.Snapshot{State: events.WorkflowRunning, Held: make([]events.HeldInput, 1)}, "[pause resume cancel terminate]"},
		{"an incident", events.Snapshot{State: events.WorkflowRunning, Held: make([]events.HeldInput, 1), Incident: &events.Incident{}}, "[pause cancel terminate retry]"},
		{"paused", events.Snapshot{State: events.WorkflowPaused, Incident: &events.Incident{}}, "[resume cancel terminate]"},
		{"undoing", events.Snapshot{State: events.WorkflowCompensating}, "[pause terminate]"},
		{"failed", events.Snapshot{State: events.WorkflowFailed}, "[retry]"},
		{"completed", events.Snapshot{State: events.WorkflowCompleted}, "[]"},
		{"forgotten", events.Snapshot{State: events.WorkflowFailed, ForgottenAt: epoch}, "[]"},
	} {
		if got := fmt.Sprint(possible(&c.snap)); got != c.want {
			t.Errorf("%s: %s is possible, want %s", c.what, got, c.want)
		}
	}
}

// TestCommandsAreDecidedByTheirRow sends every command to an instance that runs
// and to one that is paused.
func TestCommandsAreDecidedByTheirRow(t *testing.T) {
	machine := parse(t, "leat: v1\ntype: law\nversion: 1\nstates:\n  a: {invoke: {task: q.work, onDone: a, onError: a}, on: {go: a}}\n")
	decided := func(c events.Command, snap *events.Snapshot) Decision {
		t.Helper()
		c.WorkflowType, c.Key = "law", "k"
		c.Resolve(events.DeriveUUID(events.Namespace, string(c.Command)))
		d, err := Decide(Input{Command: &c, Machine: machine, Now: epoch.Add(time.Second), Source: "r"}, snap)
		if err != nil {
			t.Fatalf("%s: %v", c.Command, err)
		}
		return d
	}
	running := decided(events.Command{Command: events.CommandStart}, nil).Next
	paused := decided(events.Command{Command: events.CommandPause}, running).Next
	for _, kind := range events.CommandTypes() {
		c := events.Command{Command: kind}
		switch kind {
		case events.CommandSignal:
			c.Event = "go"
		case events.CommandClaim, events.CommandHeartbeat, events.CommandResult:
			c.Result = &events.TaskResult{TaskID: running.Chart.Tasks[0].TaskID, Attempt: 1, NodeID: "n", State: events.TaskCompleted}
		default:
		}
		row := kindOf(kind)
		if d := decided(c, running); (len(d.Audit) > 0) != row.audited {
			t.Errorf("%s: the audit has %+v", kind, d.Audit)
		}
		d := decided(c, paused)
		if held := d.Next != nil && len(d.Next.Held) > 0; held != row.held {
			t.Errorf("%s: a paused instance holds it: %v, want %v", kind, held, row.held)
		}
		if row.reads && (d.Next != nil || len(d.Events)+len(d.Audit) > 0 || d.Outcome.Status != events.OutcomeDescribed) {
			t.Errorf("%s: of a paused instance it changes something, or has no answer: %+v", kind, d)
		}
		c.Resolve(events.Namespace)
		if _, err := Decide(Input{Command: &c, Now: epoch.Add(time.Second)}, running); row.bare && err != nil {
			t.Errorf("%s needs a definition: %v", kind, err)
		}
	}
}

// TestCommandsAreDocumented holds the table of commands in the reference.
func TestCommandsAreDocumented(t *testing.T) {
	const page = "../../docs/reference/topics.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range events.CommandTypes() {
		k := kindOf(c)
		to, audited := "", ""
		if k.to != "" {
			to = "`" + string(k.to) + "`"
		}
		if k.audited {
			audited = "yes"
		}
		if row := fmt.Sprintf("| `%s` | %s | %s | %s |", c, k.from, to, audited); !strings.Contains(string(text), row+"\n") {
			t.Errorf("%s: its table of commands has no row\n%s", page, row)
		}
	}
}

// String lists who sends a command, for people.
func (s sender) String() string {
	var list []string
	for i, name := range []string{
		"clients", "operators", "executors", "a parent workflow", "a child workflow", "other workflows", "the instance itself", "schedules",
	} {
		if s&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}
