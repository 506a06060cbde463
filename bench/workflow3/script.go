package workflow3

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// script is what one workflow writes, as the engine wrote it: the bare loop
// writes the same number of records, of the same sizes, at the same steps.
type script struct {
	start      *template
	steps      []step
	checkpoint *template
}

// step is what follows from one command.
type step struct {
	events []*template
	state  *template
	task   *template // nil after the last
	result *template // what the executor makes of task
}

// template is a record to copy. Where two workflows' records differ, each copy
// gets bytes of its own: the client compresses what it sends, and equal bytes
// would cost the bare loop too little.
type template struct {
	value   []byte
	headers []kafka.Header
	own     []span   // of value
	ownHead [][]span // of each header's value
}

// span is a range of bytes that every workflow has its own of.
type span struct {
	from, to int
	slot     int  // spans of one slot hold the same bytes within a workflow
	text     bool // hexadecimal digits
}

// slots numbers the distinct contents of spans, raw or as text. Slot 0 is the
// instance id.
type slots struct {
	ids   []events.UUID // all that a workflow's records name
	other map[string]int
}

// record runs two workflows, one after the other, and makes a script of what
// they wrote.
func record(ctx context.Context, c kafka.Config, e *engine) (*script, error) {
	var ids [2]events.UUID
	for i := range ids {
		start := e.side.driver.start
		e.side.driver.start = func(id events.UUID) (*kafka.Record, error) { ids[i] = id; return start(id) }
		_, err := e.side.driver.run(ctx, 1, 0)
		e.side.driver.start = start
		if err != nil {
			return nil, err
		}
	}
	reader, err := kafka.NewReader(c)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var traces [2]trace
	var checkpoints []*kafka.Record
	for _, topic := range e.side.topics {
		err := reader.ReadAll(ctx, topic, func(r *kafka.Record) error {
			if string(r.Key) == events.CheckpointKey {
				checkpoints = append(checkpoints, r)
				return nil
			}
			owner, err := ownerOf(e, r)
			if err != nil {
				return err
			}
			for i := range ids {
				if owner == ids[i].String() {
					traces[i].add(e, r)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(checkpoints) < 2 {
		return nil, fmt.Errorf("there are %d checkpoints", len(checkpoints))
	}
	return newScript(&traces[0], &traces[1], checkpoints)
}

// ownerOf is the instance that a record is about: its key, but for tasks.
func ownerOf(e *engine, r *kafka.Record) (string, error) {
	if r.Topic != e.names.Tasks(engineQueue) {
		return string(r.Key), nil
	}
	task, err := avro.DecodeTask(r.Value)
	return task.InstanceID.String(), err
}

// trace is every record of one instance, by topic and in order.
type trace struct{ commands, events, states, tasks []*kafka.Record }

func (t *trace) add(e *engine, r *kafka.Record) {
	switch r.Topic {
	case e.names.Commands(engineType):
		t.commands = append(t.commands, r)
	case e.names.Events(engineType):
		t.events = append(t.events, r)
	case e.names.State(engineType):
		t.states = append(t.states, r)
	default:
		t.tasks = append(t.tasks, r)
	}
}

func newScript(a, b *trace, checkpoints []*kafka.Record) (*script, error) {
	if len(a.commands) != len(b.commands) || len(a.events) != len(b.events) || len(a.states) != len(b.states) ||
		len(a.tasks) != len(b.tasks) || len(a.states) != len(a.commands) || len(a.tasks) != len(a.commands)-1 {
		return nil, fmt.Errorf("two workflows wrote different records, or not one snapshot a command: %d and %d commands, %d and %d events, %d and %d snapshots, %d and %d tasks",
			len(a.commands), len(b.commands), len(a.events), len(b.events), len(a.states), len(b.states), len(a.tasks), len(b.tasks))
	}
	ids, err := newSlots(a)
	if err != nil {
		return nil, err
	}
	s := &script{start: ids.template(a.commands[0], b.commands[0]), checkpoint: ids.template(checkpoints[0], checkpoints[1])}
	from := 0
	for i := range a.commands {
		to, err := endOf(a.events, from)
		if err != nil {
			return nil, err
		}
		st := step{state: ids.template(a.states[i], b.states[i])}
		for j := from; j < to; j++ {
			st.events = append(st.events, ids.template(a.events[j], b.events[j]))
		}
		if i < len(a.tasks) {
			st.task = ids.template(a.tasks[i], b.tasks[i])
			st.result = ids.template(a.commands[i+1], b.commands[i+1])
		}
		s.steps, from = append(s.steps, st), to
	}
	return s, nil
}

// endOf is where the events of one command end.
func endOf(records []*kafka.Record, from int) (to int, err error) {
	command := ""
	for to = from; to < len(records); to++ {
		e, err := avro.DecodeEvent(records[to].Value)
		if err != nil {
			return 0, err
		}
		id := commandOf(&e)
		if command == "" {
			command = id
		}
		if id != command {
			break
		}
	}
	return to, nil
}

// newSlots finds the ids in the records of a workflow.
func newSlots(t *trace) (*slots, error) {
	s := &slots{other: make(map[string]int)}
	for _, r := range t.events {
		e, err := avro.DecodeEvent(r.Value)
		if err != nil {
			return nil, err
		}
		s.add(e.InstanceID, e.CorrelationID, e.EventID)
		id, err := events.ParseUUID(commandOf(&e))
		if err != nil {
			return nil, err
		}
		s.add(id)
	}
	for _, r := range t.tasks {
		task, err := avro.DecodeTask(r.Value)
		if err != nil {
			return nil, err
		}
		s.add(task.TaskID)
	}
	return s, nil
}

func (s *slots) add(ids ...events.UUID) {
	for _, id := range ids {
		if !slices.Contains(s.ids, id) {
			s.ids = append(s.ids, id)
		}
	}
}

// spans finds what is a workflow's own in a, which is like b but for that.
func (s *slots) spans(a, b []byte) []span {
	var own []span
	taken := make([]bool, len(a)+1)
	for slot, id := range s.ids {
		for _, text := range []bool{true, false} {
			form := id[:]
			if text {
				form = []byte(id.String())
			}
			for from := 0; ; {
				at := bytes.Index(a[from:], form)
				if at < 0 {
					break
				}
				at, from = from+at, from+at+len(form)
				own = append(own, span{at, from, slot, text})
				for i := at; i < from; i++ {
					taken[i] = true
				}
			}
		}
	}
	differs := func(i int) bool { return !taken[i] && (i >= len(b) || a[i] != b[i]) }
	for from := 0; from < len(a); from++ {
		to := from
		for to < len(a) && differs(to) {
			to++
		}
		if to == from {
			continue
		}
		content := string(a[from:to])
		slot, known := s.other[content]
		if !known {
			slot = len(s.ids) + len(s.other)
			s.other[content] = slot
		}
		own = append(own, span{from, to, slot, isText(a[from:to])})
		from = to
	}
	return own
}

func (s *slots) template(a, b *kafka.Record) *template {
	t := &template{value: a.Value, headers: a.Headers, own: s.spans(a.Value, b.Value)}
	t.ownHead = make([][]span, len(a.Headers))
	for i := range a.Headers {
		t.ownHead[i] = s.spans(a.Headers[i].Value, b.Headers[i].Value)
	}
	return t
}

func isText(content []byte) bool {
	for _, c := range content {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(content) > 4
}

// copy is a record's value and headers for one workflow.
func (t *template) copy(instance []byte, seed uint64) (value []byte, headers []kafka.Header) {
	value = append(make([]byte, 0, len(t.value)), t.value...)
	for _, o := range t.own {
		o.fill(value, instance, seed)
	}
	if len(t.headers) == 0 {
		return value, nil
	}
	headers = append(make([]kafka.Header, 0, len(t.headers)), t.headers...)
	buf := make([]byte, 0, 512)
	for i, own := range t.ownHead {
		if len(own) == 0 {
			continue
		}
		from := len(buf)
		buf = append(buf, headers[i].Value...)
		headers[i].Value = buf[from:len(buf):len(buf)]
		for _, o := range own {
			o.fill(headers[i].Value, instance, seed)
		}
	}
	return value, headers
}

// fill writes the workflow's own bytes into its range of value.
func (o span) fill(value, instance []byte, seed uint64) {
	const digits = "0123456789abcdef"
	dst := value[o.from:o.to]
	if o.slot == 0 && o.text {
		copy(dst, instance)
		return
	}
	x := seed ^ uint64(o.slot+1)*0x9e3779b97f4a7c15
	for len(dst) > 0 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		n := min(len(dst), 8)
		for i := range n {
			if b := byte(x >> (8 * i)); o.text {
				dst[i] = digits[b&15]
			} else {
				dst[i] = b
			}
		}
		dst = dst[n:]
	}
}

// seedOf stands for a workflow: its id's digits, folded.
func seedOf(instance []byte) uint64 {
	x := uint64(14695981039346656037)
	for _, c := range instance {
		x = (x ^ uint64(c)) * 1099511628211
	}
	return x
}

// commandOf is the id of the command that an event follows from.
func commandOf(e *events.Event) string {
	return e.Metadata[events.MetadataCommandID].Str()
}

// String says how many records of how many bytes a workflow writes.
func (s *script) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "start %s", s.start)
	for i, st := range s.steps {
		fmt.Fprintf(&text, "; command %d: %d events", i, len(st.events))
		for _, e := range st.events {
			fmt.Fprintf(&text, " %s", e)
		}
		fmt.Fprintf(&text, ", state %s", st.state)
		if st.task != nil {
			fmt.Fprintf(&text, ", task %s, its result %s", st.task, st.result)
		}
	}
	fmt.Fprintf(&text, "; checkpoint %s", s.checkpoint)
	return text.String()
}

// String is the size of a value and of its headers, in bytes.
func (t *template) String() string {
	n := 0
	for _, h := range t.headers {
		n += len(h.Key) + len(h.Value)
	}
	return fmt.Sprintf("%d+%d", len(t.value), n)
}
