package decide

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// TestDecide runs the scripts of testdata/decide. Each says commands to one
// instance and shows what is decided:
//
//	define          the definition (YAML)
//	say             a command as JSON; now=…s sets the clock first
//	report          claim, heartbeat or a result of a task, by its invocation; by=… says who; it is
//	                put down (down, after_ms=…), or asks (asking, ask=ID,ID), or is handed back (back);
//	                token=… brings another token than the task record's, or none
//	child           what the instance's parent asks: a command as JSON
//	timers          fires what is due at now=…s
//	snapshot        where the instance stands
//	repair          the definition as it should have been (YAML)
//	undeploy        the definition is not known here any more, until deploy
//	unwritable      from here on nothing can be written, until writable
//
// Run with -rewrite to accept what is decided now.
func TestDecide(t *testing.T) { runScripts(t, func(*events.Event) {}) }

// runScripts hands every event that the scripts lead to to note.
func runScripts(t *testing.T, note func(*events.Event)) {
	t.Helper()
	datadriven.Walk(t, "testdata/decide", func(t *testing.T, path string) {
		s := &script{t: t, now: epoch, note: note}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			var seconds float64
			if d.HasArg("now") {
				var text string
				d.ScanArgs(t, "now", &text)
				after, err := time.ParseDuration(text)
				if err != nil {
					t.Fatal(err)
				}
				seconds = after.Seconds()
				s.now = epoch.Add(time.Duration(seconds * float64(time.Second)))
			}
			return s.run(d)
		})
	})
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type script struct {
	t        *testing.T
	machine  *fsm.Machine
	away     *fsm.Machine // while it is not deployed
	snap     *events.Snapshot
	history  []events.Event
	tokens   map[string]string // of the newest attempts, by invocation
	deployed []*fsm.Machine
	now      time.Time
	said     int
	blocked  *events.Error // what keeps decisions from being written
	repaired bool          // decided by another definition than the history says
	note     func(*events.Event)
}

func (s *script) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "define":
		machine, findings, err := definition.Parse("test.yaml", []byte(d.Input))
		if err != nil {
			return err.Error()
		}
		s.machine, s.snap, s.history, s.repaired = machine, nil, nil, false
		s.tokens = map[string]string{}
		s.deployed = append(s.deployed[:0], machine)
		return findings.String()
	case "say":
		c, err := events.DecodeCommandJSON([]byte(d.Input))
		if err != nil {
			return err.Error()
		}
		return s.decide(c)
	case "child":
		c, err := events.DecodeCommandJSON([]byte(d.Input))
		if err != nil {
			return err.Error()
		}
		c.Parent = s.parent(d)
		return s.decide(c)
	case "report":
		return s.decide(s.report(d))
	case "repair":
		// As after a migration, which the history does not tell here.
		s.machine, s.repaired = parse(s.t, d.Input), true
		return ""
	case "undeploy":
		s.away = s.machine
		s.machine = nil
		return ""
	case "deploy":
		s.machine = s.away
		return ""
	case "unwritable":
		s.blocked = &events.Error{Code: CodeTooLarge, Message: "what follows cannot be written: " + d.Input}
		return ""
	case "writable":
		s.blocked = nil
		return ""
	case "timers":
		return s.fire()
	case "snapshot":
		text, err := json.MarshalIndent(s.snap, "", " ")
		if err != nil {
			s.t.Fatal(err)
		}
		return string(text)
	}
	s.t.Fatalf("unknown directive %q", d.Cmd)
	return ""
}

// parent is the parent that a child's start or end names.
func (s *script) parent(d *datadriven.TestData) *events.Parent {
	name, attempt, generation := "one", 1, 1
	d.MaybeScanArgs(s.t, "parent", &name)
	d.MaybeScanArgs(s.t, "attempt", &attempt)
	d.MaybeScanArgs(s.t, "generation", &generation)
	id := events.DeriveUUID(events.Namespace, "parent "+name)
	return &events.Parent{
		WorkflowType: "family", InstanceID: id, TaskID: events.DeriveUUID(id, "task"), Attempt: int32(attempt), Generation: int32(generation),
	}
}

func (s *script) report(d *datadriven.TestData) events.Command {
	var invocation, kind string
	attempt := 1
	d.ScanArgs(s.t, "of", &invocation)
	d.ScanArgs(s.t, "is", &kind)
	d.MaybeScanArgs(s.t, "attempt", &attempt)
	node := "node"
	d.MaybeScanArgs(s.t, "by", &node)
	r := &events.TaskResult{Attempt: int32(attempt), NodeID: node, Token: s.tokens[invocation]}
	d.MaybeScanArgs(s.t, "token", &r.Token)
	if r.Token == "none" {
		r.Token = ""
	}
	for i := range s.snap.Chart.Tasks {
		if s.snap.Chart.Tasks[i].Invocation == invocation {
			r.TaskID = s.snap.Chart.Tasks[i].TaskID
			if child := s.snap.Chart.Tasks[i].Child; node == "child" && child != nil {
				r.NodeID = nameOf(child.WorkflowType, child.InstanceID)
			}
		}
	}
	if r.TaskID.IsNil() {
		r.TaskID = events.DeriveUUID(events.Namespace, invocation)
	}
	c := events.Command{WorkflowType: s.snap.WorkflowType, InstanceID: s.snap.InstanceID, Result: r}
	switch kind {
	case "claim", "heartbeat":
		c.Command = events.CommandType(kind)
		r.Repeatable = d.HasArg("repeatable")
		d.MaybeScanArgs(s.t, "generation", &r.Generation)
		if kind == "heartbeat" && d.Input != "" {
			r.HeartbeatDetails = json.RawMessage(d.Input)
		}
	case "failed":
		c.Command, r.State = events.CommandResult, events.TaskFailed
		var after int
		d.MaybeScanArgs(s.t, "after_ms", &after)
		r.RetryAfter = time.Duration(after) * time.Millisecond
		r.Error = &events.Error{Code: "BROKEN", Message: "it broke", Retryable: d.Input != "final"}
	case "down", "back", "asking":
		c.Command, r.State, r.HandedBack = events.CommandResult, events.TaskScheduled, kind == "back"
		var after int
		d.MaybeScanArgs(s.t, "after_ms", &after)
		r.ResumeAfter = time.Duration(after) * time.Millisecond
		if d.Input != "" {
			c.Payload = json.RawMessage(d.Input)
		}
		if kind == "back" {
			c.Payload, r.Error = nil, &events.Error{Code: "NO_ROOM", Message: "all GPUs are taken"}
		}
		var ids string
		if d.MaybeScanArgs(s.t, "ask", &ids); kind == "asking" {
			r.State = events.TaskWaitingForInput
			for id := range strings.SplitSeq(ids, ",") {
				r.Questions = append(r.Questions, events.Question{ID: id, Message: id + "?", Form: json.RawMessage(`{"type":"boolean"}`), Assignee: "ann"})
			}
		}
	default:
		c.Command, r.State = events.CommandResult, events.TaskCompleted
		if d.Input != "" {
			c.Payload = json.RawMessage(d.Input)
		}
	}
	return c
}

func (s *script) decide(c events.Command) string {
	s.said++
	explicit := !c.CommandID.IsNil()
	c.Resolve(events.DeriveUUID(events.Namespace, fmt.Sprint("command ", s.said)))
	if err := c.Validate(); err != nil {
		return err.Error()
	}
	in := Input{Command: &c, Explicit: explicit, Machine: s.machine, Now: s.now, Source: "r1"}
	if c.Version != 0 && s.machine != nil && c.Version != s.machine.Version() {
		in.Machine = nil
	}
	return s.apply(in)
}

func (s *script) apply(in Input) string {
	if blocked := s.blocked; blocked != nil {
		in.unwritten = blocked
		in.Writable = func(*Decision) error { return &Error{blocked.Code, errors.New("it is still too large")} }
	}
	in.Seed = []byte(fmt.Sprint("seed ", s.said))
	before, err := json.Marshal(s.snap)
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := Decide(in, s.snap)
	if err != nil {
		return "error: " + err.Error()
	}
	again, _ := Decide(in, s.snap)
	if !reflect.DeepEqual(d, again) {
		s.t.Fatalf("deciding twice gave two decisions:\n%+v\n%+v", d, again)
	}
	if after, _ := json.Marshal(s.snap); string(after) != string(before) {
		s.t.Fatalf("the decision changed the snapshot that it was given:\n%s\n%s", before, after)
	}
	if d.Next != nil {
		s.snap = d.Next
	}
	for i := range d.Tasks {
		s.tokens[d.Tasks[i].Invocation] = d.Tasks[i].Token
	}
	for i := range d.Sends {
		s.noteToken(&d.Sends[i])
	}
	for i := range d.Events {
		s.note(&d.Events[i])
	}
	s.history = append(s.history, d.Events...)
	if !s.repaired {
		checkReplay(s.t, s.history, s.snap, s.deployed...)
	}
	return describe(s.t, d)
}

// noteToken keeps the token that a child is given, or that comes back at once
// because there can be no child.
func (s *script) noteToken(c *events.Command) {
	if s.snap == nil {
		return
	}
	for i := range s.snap.Chart.Tasks {
		switch t := &s.snap.Chart.Tasks[i]; {
		case c.Command == events.CommandStart && c.Parent.TaskID == t.TaskID:
			s.tokens[t.Invocation] = c.Parent.Token
		case c.Result != nil && c.Result.TaskID == t.TaskID:
			s.tokens[t.Invocation] = c.Result.Token
		}
	}
}

func (s *script) fire() string {
	var out strings.Builder
	for fired := !s.snap.Holding(); fired && !s.snap.Holding(); {
		fired = false
		for i := range s.snap.Chart.Timers {
			if timer := s.snap.Chart.Timers[i]; !timer.Due.After(s.now) {
				fmt.Fprintf(&out, "timer %s %s\n%s", timer.Kind, timer.Ref, s.apply(Input{Timer: &timer, Machine: s.machine, Now: s.now, Source: "r1"}))
				fired = true
				break
			}
		}
	}
	return out.String()
}

// describe prints a decision, each event with its law checked.
func describe(t *testing.T, d Decision) string {
	t.Helper()
	var out strings.Builder
	for i := range d.Events {
		e := &d.Events[i]
		if err := e.Validate(); err != nil {
			t.Errorf("event %d: %v", e.SequenceNumber, err)
		}
		if list := e.Undeclared(); list != nil {
			t.Errorf("event %d, %s, carries what its kind does not declare: %v", e.SequenceNumber, e.EventType, list)
		}
		fmt.Fprintf(&out, "%d %s", e.SequenceNumber, e.EventType)
		for _, key := range slices.Sorted(maps.Keys(e.Data)) {
			if key == "task_id" {
				continue
			}
			value, err := json.Marshal(e.Data[key])
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, " %s=%s", key, value)
		}
		if e.Payload != nil {
			fmt.Fprintf(&out, " payload=%s", e.Payload)
		}
		fmt.Fprintf(&out, " depth=%d\n", len(e.CorrelationChain))
	}
	for i := range d.Tasks {
		task := &d.Tasks[i]
		if err := task.Validate(); err != nil {
			t.Errorf("task %s: %v", task.TaskName, err)
		}
		fmt.Fprintf(&out, "task %s attempt %d input=%s", task.TaskName, task.Attempt, task.Input)
		if task.HeartbeatDetails != nil {
			fmt.Fprintf(&out, " details=%s", task.HeartbeatDetails)
		}
		if task.Continuation != nil {
			fmt.Fprintf(&out, " continuation=%s", task.Continuation)
		}
		for _, a := range task.Answers {
			fmt.Fprintf(&out, " %s=%s by %s", a.ID, a.Result, a.By)
			if a.Error != nil {
				fmt.Fprintf(&out, " refused %s", a.Error.Code)
			}
		}
		out.WriteByte('\n')
	}
	for _, c := range d.Cancels {
		who := "whoever"
		if c.NodeID != "" {
			who = c.NodeID
		}
		fmt.Fprintf(&out, "%s stops attempt %d: %s\n", who, c.Attempt, c.Code)
	}
	for _, s := range d.Signals {
		fmt.Fprintf(&out, "signal %s/%s %s %s\n", s.Type, s.To, s.Event, s.Data)
	}
	for i := range d.Sends {
		describeSend(t, &out, &d.Sends[i])
	}
	for _, message := range d.Logs {
		fmt.Fprintf(&out, "log %s\n", message)
	}
	if d.Forged > 0 {
		fmt.Fprintf(&out, "forged reports: %d\n", d.Forged)
	}
	if o := d.Outcome; o != nil {
		fmt.Fprintf(&out, "outcome %s at %d", o.Status, o.SequenceNumber)
		if o.Error != nil {
			fmt.Fprintf(&out, ": %v", o.Error)
		}
		describeInstance(&out, o)
		out.WriteByte('\n')
	}
	for _, o := range d.Later {
		fmt.Fprintf(&out, "outcome of a held command %s at %d: %v\n", o.Status, o.SequenceNumber, o.Error)
	}
	for _, a := range d.Audit {
		if err := a.Validate(); err != nil {
			t.Errorf("audit: %v", err)
		}
		fmt.Fprintf(&out, "audit %s by %q: %s %s -> %s\n", a.Action, a.Actor, a.Outcome, a.Metadata[events.AuditFrom].Str(), a.Metadata[events.AuditTo].Str())
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

// describeInstance prints what an outcome says of the instance.
func describeInstance(out *strings.Builder, o *events.Outcome) {
	if o.InstanceState == "" {
		return
	}
	fmt.Fprintf(out, "; the instance is %s at %d", o.InstanceState, o.InstanceSequence)
	if o.InstanceOutput != nil {
		fmt.Fprintf(out, " output=%s", o.InstanceOutput)
	}
	if o.InstanceError != nil {
		fmt.Fprintf(out, " error=%v", o.InstanceError)
	}
}

func describeSend(t *testing.T, out *strings.Builder, c *events.Command) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Errorf("%s for %s: %v", c.Command, c.WorkflowType, err)
	}
	fmt.Fprintf(out, "send %s to %s", c.Command, c.WorkflowType)
	if c.Key != "" {
		fmt.Fprintf(out, " key=%s", c.Key)
	}
	if p := c.Parent; p != nil {
		fmt.Fprintf(out, " attempt=%d generation=%d", p.Attempt, p.Generation)
	}
	if c.Version != 0 {
		fmt.Fprintf(out, " version=%d", c.Version)
	}
	if r := c.Result; r != nil {
		fmt.Fprintf(out, " attempt=%d %s", r.Attempt, r.State)
		if r.Error != nil {
			fmt.Fprintf(out, " %v retryable=%t", r.Error, r.Error.Retryable)
		}
	}
	if c.Payload != nil {
		fmt.Fprintf(out, " payload=%s", c.Payload)
	}
	fmt.Fprintf(out, " depth=%d\n", len(c.CorrelationChain))
}

// TestChainsStayBounded says that no history, however long, makes an event
// longer, and that no link of the chain is lost.
func TestChainsStayBounded(t *testing.T) {
	s := &script{t: t, now: epoch}
	s.machine = parse(t, `
leat: v1
type: loop
version: 1
states:
  work: {invoke: {task: q.again, onDone: {target: work}, onError: {target: work}}}
`)
	known := make(map[events.UUID]*events.Event)
	keep := func(d Decision) {
		for i := range d.Events {
			e := &d.Events[i]
			if n := len(e.CorrelationChain); n > events.MaxCausalDepth {
				t.Fatalf("event %d has a chain of %d", e.SequenceNumber, n)
			}
			if cause := known[e.CausationID]; cause == nil && e.SequenceNumber > 1 {
				t.Fatalf("event %d is caused by an event that is not in the history", e.SequenceNumber)
			}
			known[e.EventID] = e
		}
	}
	c := events.Command{Command: events.CommandStart, WorkflowType: "loop", Key: "k"}
	c.Resolve(events.DeriveUUID(events.Namespace, "start"))
	d, err := Decide(Input{Command: &c, Machine: s.machine, Now: epoch}, nil)
	if err != nil {
		t.Fatal(err)
	}
	keep(d)
	for range 300 {
		task := d.Next.Chart.Tasks[len(d.Next.Chart.Tasks)-1]
		r := events.Command{
			Command: events.CommandResult, WorkflowType: "loop", InstanceID: d.Next.InstanceID,
			Result: &events.TaskResult{TaskID: task.TaskID, Attempt: 1, State: events.TaskCompleted},
		}
		r.Resolve(events.DeriveUUID(task.TaskID, "result"))
		if d, err = Decide(Input{Command: &r, Machine: s.machine, Now: epoch}, d.Next); err != nil {
			t.Fatal(err)
		}
		keep(d)
	}
	if n := len(known); n < 900 {
		t.Fatalf("%d events", n)
	}
}

// TestDecisionsKeepTheLaws says what holds for whatever is said in whatever
// order: sequences without gaps, snapshots that agree with events, one decision
// a command id.
func TestDecisionsKeepTheLaws(t *testing.T) {
	machine := parse(t, `
leat: v1
type: law
version: 1
data: {n: {type: long, default: 0}}
initial: idle
states:
  idle: {on: {go: busy, count: {assign: {n: data.n + 1}}, end: over}, after: {10s: over}}
  busy:
    invoke: {task: q.work, retry: {maxAttempts: 2, initial: 1s}, onDone: {target: idle}, onError: {target: idle}}
    on: {stop: idle}
  over: {type: final, output: {n: data.n}}
`)
	rapid.Check(t, func(t *rapid.T) {
		var snap *events.Snapshot
		decided := make(map[events.UUID]bool)
		now, sequence := epoch, int64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			in := Input{Machine: machine, Now: now, Source: "r"}
			if snap != nil && len(snap.Chart.Timers) > 0 && !snap.Chart.Timers[0].Due.After(now) {
				in.Timer = &snap.Chart.Timers[0]
			} else {
				in.Command, in.Explicit = drawCommand(t, snap), true
			}
			d, err := Decide(in, snap)
			if err != nil {
				t.Fatal(err)
			}
			if in.Command != nil && len(d.Events) > 0 {
				if id := in.Command.CommandID; decided[id] {
					t.Fatalf("command %s was decided twice", id)
				}
				decided[in.Command.CommandID] = true
			}
			for i := range d.Events {
				if sequence++; d.Events[i].SequenceNumber != sequence {
					t.Fatalf("sequence %d follows %d", d.Events[i].SequenceNumber, sequence-1)
				}
				if err := d.Events[i].Validate(); err != nil {
					t.Fatal(err)
				}
			}
			if d.Next != nil {
				snap = d.Next
				if err := snap.Validate(); err != nil {
					t.Fatal(err)
				}
			}
			if snap != nil && snap.SequenceNumber != sequence {
				t.Fatalf("the snapshot is at %d and the history at %d", snap.SequenceNumber, sequence)
			}
		}
	})
}

func drawCommand(t *rapid.T, snap *events.Snapshot) *events.Command {
	c := events.Command{WorkflowType: "law", Key: "k", CommandID: events.DeriveUUID(events.Namespace, strconv.Itoa(rapid.IntRange(0, 30).Draw(t, "id")))}
	c.Command = events.CommandSignal
	c.Event = rapid.SampledFrom([]string{"go", "count", "stop", "end", "nonsense"}).Draw(t, "event")
	switch {
	case snap == nil || rapid.IntRange(0, 9).Draw(t, "start") == 0:
		c.Command, c.Event = events.CommandStart, ""
	case len(snap.Chart.Tasks) > 0 && rapid.Bool().Draw(t, "report"):
		task := snap.Chart.Tasks[len(snap.Chart.Tasks)-1]
		c.Command, c.Event = events.CommandResult, ""
		c.CommandID = events.DeriveUUID(task.TaskID, fmt.Sprint(task.Attempt, snap.SequenceNumber))
		c.Result = &events.TaskResult{TaskID: task.TaskID, Attempt: max(1, task.Attempt), State: events.TaskCompleted}
		if rapid.Bool().Draw(t, "fails") {
			c.Result.State, c.Result.Error = events.TaskFailed, &events.Error{Code: "X", Message: "x", Retryable: true}
		}
	}
	c.Resolve(c.CommandID)
	return &c
}

func parse(t *testing.T, source string) *fsm.Machine {
	t.Helper()
	machine, _, err := definition.Parse("test.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return machine
}
