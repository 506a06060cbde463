package decide

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Machines finds the compiled definition of a version, nil when there is none.
type Machines func(version int32) *fsm.Machine

// Replayed is what became of a history that was decided again.
type Replayed struct {
	Events    int              // recorded events that were decided the same
	Decisions int              // inputs that led to them
	Snapshot  *events.Snapshot // of the instance after them; nil when not even the start is
	// Difference is the first event that would be another one; nil for none.
	Difference *Difference
}

// Difference is where a history and its replay part.
type Difference struct {
	Sequence int64         `json:"sequence"`
	Recorded *events.Event `json:"recorded,omitempty"` // nil: the history has no such event
	Now      *events.Event `json:"now,omitempty"`      // nil: nothing would be recorded
	Why      string        `json:"why,omitempty"`      // nothing would be recorded, or the replay cannot go on
	Fields   []FieldChange `json:"fields,omitempty"`   // of events that are there on both sides
}

// FieldChange is a field of an event that would be another one.
type FieldChange struct {
	Field    string `json:"field"`
	Recorded string `json:"recorded"` // as JSON; "" for absent
	Now      string `json:"now"`
}

// Replay decides a whole recorded history again, from its first event on, and
// compares: purely, so that it is the same wherever and whenever it runs. With a
// version, all of it is decided under that version, whatever it was recorded
// under; 0 takes each decision's own. The error is about a history that cannot be
// read: one that does not begin at the start, or has events that are not
// understood.
func Replay(history []events.Event, machines Machines, version int32) (Replayed, error) {
	list, err := facts.Read(history)
	if err != nil {
		return Replayed{}, err
	}
	p := &replayer{machines: machines, version: version, keep: make(map[int64]*events.Snapshot)}
	for i := range list {
		p.keep[list[i].ResetTo] = nil
	}
	var r Replayed
	for i := range list {
		f := &list[i]
		recorded := history[f.Sequence-1 : f.Sequence-1+int64(f.Count)]
		if r.Difference = p.overdue(f, recorded); r.Difference != nil {
			return r, nil
		}
		d, err := p.decide(f)
		if err != nil {
			r.Difference = &Difference{Sequence: f.Sequence, Recorded: &recorded[0], Why: err.Error()}
			return r, nil //nolint:nilerr // it is the difference
		}
		if r.Difference = p.compare(recorded, &d); r.Difference != nil {
			r.Events = int(r.Difference.Sequence) - 1
			return r, nil
		}
		r.Events += f.Count
		r.Decisions++
		r.Snapshot = p.snap
	}
	return r, nil
}

// replayer decides facts one after the other.
type replayer struct {
	machines Machines
	version  int32 // 0: each fact's own
	snap     *events.Snapshot
	work     int                        // done so far, in units of [fsm.MaxWork]
	keep     map[int64]*events.Snapshot // what later resets go back to, by sequence
}

func (p *replayer) machine(recorded int32) (*fsm.Machine, error) {
	if p.version != 0 {
		recorded = p.version
	}
	m := p.machines(recorded)
	if m == nil {
		return nil, fmt.Errorf("version %d is not deployed", recorded)
	}
	return m, nil
}

// decide decides one fact and goes on from there.
func (p *replayer) decide(f *facts.Fact) (Decision, error) {
	in := Input{Now: f.Now, Source: f.Source, replay: true, unwritten: f.Unwritten, Work: &p.work}
	if f.Command != nil {
		// It was accepted, so what its sender expected was so.
		c, expected := *f.Command, sequenceOf(p.snap)
		c.ExpectedSequence = &expected
		in.Command = &c
	}
	recorded := f.Version
	if p.snap != nil && p.version == 0 {
		recorded = p.snap.Version
	}
	var err error
	if in.Machine, err = p.machine(recorded); err != nil && !isLife(f.Command) {
		return Decision{}, err // an instance can be ended without its definition
	}
	if f.Timer != nil {
		if in.Timer = p.timer(f.Timer); in.Timer == nil {
			return Decision{}, fmt.Errorf("timer %d, which fired, would not be set", f.Timer.ID)
		}
	}
	d, err := p.again(in, f)
	if err != nil {
		return d, err
	}
	if d.Next != nil {
		p.snap = d.Next
		if _, wanted := p.keep[p.snap.SequenceNumber]; wanted {
			p.keep[p.snap.SequenceNumber] = p.snap
		}
	}
	return d, nil
}

// again decides what f says. What a command of another version or of the past
// carries, the history itself has.
func (p *replayer) again(in Input, f *facts.Fact) (Decision, error) {
	if !evolves(in.Command) || p.snap == nil {
		return Decide(in, p.snap)
	}
	if p.version != 0 {
		return Decision{}, fmt.Errorf("the instance is moved by a %s here, which another version cannot follow", in.Command.Command)
	}
	if in.Command.Command == events.CommandMigrate {
		in.Others = map[int32]*fsm.Machine{in.Command.Version: p.machines(in.Command.Version)}
		return Decide(in, p.snap)
	}
	past := p.keep[f.ResetTo]
	if past == nil {
		return Decision{}, fmt.Errorf("sequence %d, to which it is reset, is not where a decision ends", f.ResetTo)
	}
	in.Others = map[int32]*fsm.Machine{past.Version: p.machines(past.Version)}
	return resetTo(in, p.snap, past, f.ResetTo)
}

// timer finds the timer that fired. Heartbeats leave no event, so the recorded
// due time of their timer counts.
func (p *replayer) timer(fired *facts.Timer) *events.Timer {
	if p.snap == nil {
		return nil
	}
	at := slices.IndexFunc(p.snap.Chart.Timers, func(t events.Timer) bool { return t.ID == fired.ID })
	if at < 0 {
		return nil
	}
	t := &p.snap.Chart.Timers[at]
	if t.Kind == events.TimerHeartbeat && !t.Due.Equal(fired.Due) {
		moved := *p.snap
		moved.Chart.Timers = slices.Clone(moved.Chart.Timers)
		moved.Chart.Timers[at].Due = fired.Due
		p.snap, t = &moved, &moved.Chart.Timers[at]
	}
	return t
}

// overdue finds a timer of another version that would have fired before f came.
// Under its own version a history says itself when its timers fired.
func (p *replayer) overdue(f *facts.Fact, recorded []events.Event) *Difference {
	if p.version == 0 || p.snap == nil || f.Version == p.version {
		return nil
	}
	for i := range p.snap.Chart.Timers {
		t := &p.snap.Chart.Timers[i]
		if f.Timer != nil && f.Timer.ID == t.ID || t.Kind == events.TimerHeartbeat || !t.Due.Before(f.Now.Add(-overdueBy)) {
			continue
		}
		return &Difference{
			Sequence: f.Sequence, Recorded: &recorded[0],
			Why: fmt.Sprintf("timer %s would have fired at %s, before this came", timerName(t), t.Due.Format(time.RFC3339Nano)),
		}
	}
	return nil
}

// overdueBy is how late a timer may be before its absence is a difference.
const overdueBy = time.Second

// compare compares what was recorded with what would be, event by event.
func (p *replayer) compare(recorded []events.Event, d *Decision) *Difference {
	for i := range max(len(recorded), len(d.Events)) {
		switch {
		case i >= len(d.Events):
			diff := &Difference{Sequence: recorded[i].SequenceNumber, Recorded: &recorded[i], Why: "nothing would be recorded"}
			if d.Outcome != nil && d.Outcome.Error != nil {
				diff.Why += ": " + d.Outcome.Error.Message
			}
			return diff
		case i >= len(recorded):
			return &Difference{Sequence: d.Events[i].SequenceNumber, Now: &d.Events[i], Why: "the history has no such event"}
		}
		if changes := p.changes(&recorded[i], &d.Events[i]); len(changes) > 0 {
			return &Difference{Sequence: recorded[i].SequenceNumber, Recorded: &recorded[i], Now: &d.Events[i], Fields: changes}
		}
	}
	return nil
}

// changes lists the fields in which two events differ, in a fixed order.
func (p *replayer) changes(a, b *events.Event) []FieldChange {
	var list []FieldChange
	add := func(field string, same bool, was, is any) {
		if !same {
			list = append(list, FieldChange{field, asText(was), asText(is)})
		}
	}
	add("event_type", a.EventType == b.EventType, a.EventType, b.EventType)
	for _, key := range keysOf(a.Data, b.Data) {
		was, is := a.Data[key], b.Data[key]
		add("data."+key, was.Equal(is), was, is)
	}
	add("payload", events.SameJSON(a.Payload, b.Payload), a.Payload, b.Payload)
	for _, key := range keysOf(a.Metadata, b.Metadata) {
		if key == events.MetadataVersion && p.version != 0 {
			continue
		}
		was, is := a.Metadata[key], b.Metadata[key]
		add("metadata."+key, was.Equal(is), was, is)
	}
	add("event_id", a.EventID == b.EventID, a.EventID, b.EventID)
	add("correlation_id", a.CorrelationID == b.CorrelationID, a.CorrelationID, b.CorrelationID)
	add("causation_id", a.CausationID == b.CausationID, a.CausationID, b.CausationID)
	add("correlation_chain", slices.Equal(a.CorrelationChain, b.CorrelationChain), a.CorrelationChain, b.CorrelationChain)
	return list
}

func keysOf(a, b fields) []string {
	both := maps.Clone(a)
	if both == nil {
		both = fields{}
	}
	maps.Copy(both, b)
	return slices.Sorted(maps.Keys(both))
}

func asText(v any) string {
	switch v := v.(type) {
	case events.ContextValue:
		if v.Kind() == events.KindNone {
			return ""
		}
	case json.RawMessage:
		return string(v)
	}
	text, err := events.EncodeJSON(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// Stands compares the snapshot of an instance with that of its replay: "" when
// they agree. What leaves no event is left out: the due times and details of heartbeats, and
// the commands that are remembered.
func Stands(recorded, replayed *events.Snapshot) string {
	if recorded == nil || replayed == nil {
		if recorded == replayed {
			return ""
		}
		return "only one of them has a snapshot"
	}
	if !recorded.ForgottenAt.IsZero() {
		return ""
	}
	was, is := plainSnapshot(recorded), plainSnapshot(replayed)
	for _, field := range slices.Sorted(maps.Keys(was)) {
		if !events.SameJSON(was[field], is[field]) {
			return fmt.Sprintf("%s is %s, replayed %s", field, was[field], is[field])
		}
	}
	return ""
}

func plainSnapshot(s *events.Snapshot) map[string]json.RawMessage {
	c := *s
	c.Seen, c.Held = nil, nil
	c.FirstOffset, c.NewestOffset = 0, 0 // where events lie is no decision
	if p := c.Parent; p != nil {         // a later attempt that joins leaves no event
		c.Parent = &events.Parent{WorkflowType: p.WorkflowType, InstanceID: p.InstanceID, TaskID: p.TaskID, Generation: p.Generation, Root: p.Root}
	}
	if c.Incident != nil {
		incident := *c.Incident
		incident.Input, c.Incident = nil, &incident
	}
	c.Chart.Tasks = slices.Clone(c.Chart.Tasks)
	for i := range c.Chart.Tasks {
		c.Chart.Tasks[i].HeartbeatDetails = nil
	}
	c.Chart.Timers = slices.Clone(c.Chart.Timers)
	for i := range c.Chart.Timers {
		if t := &c.Chart.Timers[i]; t.Kind == events.TimerHeartbeat {
			t.Due = time.Time{}
		}
	}
	var out map[string]json.RawMessage
	if text, err := events.EncodeJSON(&c); err == nil {
		_ = json.Unmarshal(text, &out) // what was just written can be read
	}
	return out
}
