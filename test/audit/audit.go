// Package audit checks the laws that hold for every history, whatever happened
// to the workers: it reads the topics of one workflow type, with nothing of the
// workers' own reading, and says what is wrong. Tests run it when they are done.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// Headers of the records that the router moves or gives up.
const (
	headerMovedFrom = "leat-moved-from"
	headerCommandID = "leat-command-id"
)

// Books is everything that stands committed in the topics of one type.
type Books struct {
	Commands []Command
	Events   map[events.UUID][]Event // by instance, in the order of the log
	States   map[events.UUID][]events.Snapshot
	Tasks    []events.Task
	Outcomes map[events.UUID][]events.Outcome // by command
	Dead     []Dead

	names        topics.Names
	machines     map[int32]*fsm.Machine // by version
	workflowType string
	partitions   int32
	checkpoints  map[int32]int64     // newest of each partition
	ends         map[partition]int64 // of what was read
	wrong        []string
}

// Command is a record of the commands topic; one that cannot be read has Err.
type Command struct {
	events.Command
	Partition int32
	Offset    int64
	Err       error
	movedFrom string
}

// Event is an event and where it stands.
type Event struct {
	events.Event
	Partition int32
	Offset    int64
}

// Dead is a record of the dead-letter topic.
type Dead struct {
	Source string // topic/partition@offset
	Reason string
	Value  []byte
}

// Read reads everything up to the present end. A type whose topics are not all
// there is an error; task queues are found in the histories.
func Read(ctx context.Context, brokers []string, names topics.Names, workflowType string) (*Books, error) {
	b := &Books{
		names: names, workflowType: workflowType, machines: make(map[int32]*fsm.Machine), checkpoints: make(map[int32]int64), ends: make(map[partition]int64), Events: make(map[events.UUID][]Event),
		States: make(map[events.UUID][]events.Snapshot), Outcomes: make(map[events.UUID][]events.Outcome),
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	details, err := admin.ListTopics(ctx, names.Events(workflowType))
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	b.partitions = int32(len(details[names.Events(workflowType)].Partitions))
	commands := names.Commands(workflowType)
	if err := b.readAll(ctx, admin, brokers, map[string]func(*kgo.Record) error{
		commands:                     b.takeCommand,
		names.Events(workflowType):   b.takeEvent,
		names.State(workflowType):    b.takeState,
		names.Outcomes(workflowType): b.takeOutcome,
		names.DeadLetters(commands):  b.takeDead,
		names.Definitions():          b.takeDefinition,
	}); err != nil {
		return nil, err
	}
	queues := make(map[string]func(*kgo.Record) error)
	for _, list := range b.Events {
		for i := range list {
			if queued(&list[i].Event) {
				queues[names.Tasks(topics.QueueOf(Text(&list[i].Event, "task")))] = b.takeTask
			}
		}
	}
	return b, b.readAll(ctx, admin, brokers, queues)
}

type partition struct {
	topic  string
	number int32
}

// readAll reads topics from their starts to their present ends with one client.
func (b *Books) readAll(ctx context.Context, admin *kadm.Client, brokers []string, visitors map[string]func(*kgo.Record) error) error {
	left, from, err := b.bounds(ctx, admin, slices.Collect(maps.Keys(visitors)))
	if err != nil || len(left) == 0 {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(from), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read topics, %v left: %w", left, err)
		}
		for _, e := range fetches.Errors() {
			if !kerr.IsRetriable(e.Err) {
				return fmt.Errorf("read %s/%d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		for r := range fetches.RecordsAll() {
			if err := visit(r, left, visitors[r.Topic]); err != nil {
				return fmt.Errorf("%s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
			}
		}
	}
	return nil
}

// bounds are the ends of the partitions that hold something, and where to begin.
func (b *Books) bounds(ctx context.Context, admin *kadm.Client, names []string) (
	left map[partition]int64, from map[string]map[int32]kgo.Offset, err error,
) {
	left, from = make(map[partition]int64), make(map[string]map[int32]kgo.Offset)
	if len(names) == 0 {
		return left, from, nil
	}
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("list start offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("list end offsets: %w", err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		b.ends[partition{end.Topic, end.Partition}] = end.Offset
		start, ok := starts.Lookup(end.Topic, end.Partition)
		if !ok || start.Offset >= end.Offset {
			return
		}
		left[partition{end.Topic, end.Partition}] = end.Offset
		if from[end.Topic] == nil {
			from[end.Topic] = make(map[int32]kgo.Offset)
		}
		from[end.Topic][end.Partition] = kgo.NewOffset().At(start.Offset)
	})
	return left, from, errors.Join(starts.Error(), ends.Error())
}

// visit hands on a record that is no control record and stands before the end.
func visit(r *kgo.Record, left map[partition]int64, visitor func(*kgo.Record) error) error {
	p := partition{r.Topic, r.Partition}
	end, open := left[p]
	if r.Offset >= end-1 { // what stands at the end may be of an aborted transaction, and not come
		delete(left, p)
	}
	if !open || r.Offset >= end || r.Attrs.IsControl() {
		return nil
	}
	return visitor(r)
}

// Await reads until everything that was asked for is decided, done says so too
// (nil: at once), and the topics are still: what is read while a transaction
// ends is not of one moment. It returns the last books with the error.
func Await(ctx context.Context, brokers []string, names topics.Names, workflowType string, done func(*Books) error) (*Books, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var before map[partition]int64
	for {
		b, err := Read(ctx, brokers, names, workflowType)
		if err != nil {
			return nil, err
		}
		left := b.undecided()
		if left == nil && done != nil {
			left = done(b)
		}
		if left == nil && maps.Equal(before, b.ends) {
			return b, nil
		}
		before = b.ends
		select {
		case <-tick.C:
		case <-ctx.Done():
			return b, fmt.Errorf("%w; at the end: %w", cmp.Or(left, errBusy), ctx.Err())
		}
	}
}

var errBusy = errors.New("the topics are still being written to")

// undecided says which command waits for its decision.
func (b *Books) undecided() error {
	for i := range b.Commands {
		if c := &b.Commands[i]; b.checkpoints[c.Partition] <= c.Offset {
			return fmt.Errorf("commands/%d are decided up to %d, there is one at %d", c.Partition, b.checkpoints[c.Partition], c.Offset)
		}
	}
	return nil
}

func (b *Books) takeCommand(r *kgo.Record) error {
	c := Command{Partition: r.Partition, Offset: r.Offset, movedFrom: header(r, headerMovedFrom)}
	c.Command, c.Err = avro.ParseCommand(r.Value)
	if c.Err == nil {
		fallback := events.DeriveUUID(events.Namespace, fmt.Sprintf("command/%s/%d/%d", r.Topic, r.Partition, r.Offset))
		if moved := header(r, headerCommandID); moved != "" {
			if fallback, c.Err = events.ParseUUID(moved); c.Err != nil {
				return c.Err
			}
		}
		c.Resolve(fallback)
		c.Err = cmp.Or(c.Validate(), c.CheckNamed())
	}
	if c.Err == nil && c.WorkflowType != b.workflowType {
		c.Err = errors.New("is of another type")
	}
	b.Commands = append(b.Commands, c)
	return nil
}

func (b *Books) takeEvent(r *kgo.Record) error {
	e, err := avro.DecodeEvent(r.Value)
	if err != nil {
		return err
	}
	if string(r.Key) != e.InstanceID.String() {
		return fmt.Errorf("key %q and instance %s", r.Key, e.InstanceID)
	}
	if id := header(r, "ce_id"); id != e.EventID.String() {
		return fmt.Errorf("ce_id %q and event %s", id, e.EventID)
	}
	if list := e.Undeclared(); list != nil {
		return fmt.Errorf("event %d of %s, %s, carries what its kind does not declare: %v", e.SequenceNumber, e.InstanceID, e.EventType, list)
	}
	b.Events[e.InstanceID] = append(b.Events[e.InstanceID], Event{e, r.Partition, r.Offset})
	return nil
}

func (b *Books) takeState(r *kgo.Record) error {
	if strings.HasPrefix(string(r.Key), events.ScheduleProgressPrefix) {
		if r.Value == nil {
			return nil
		}
		_, err := avro.DecodeProgress(r.Value)
		return err
	}
	if string(r.Key) == events.CheckpointKey {
		c, err := avro.DecodeCheckpoint(r.Value)
		if err != nil {
			return err
		}
		if c.NextOffset < b.checkpoints[r.Partition] || c.Partition != r.Partition {
			return fmt.Errorf("checkpoint %+v follows %d", c, b.checkpoints[r.Partition])
		}
		b.checkpoints[r.Partition] = c.NextOffset
		return nil
	}
	s, err := avro.DecodeSnapshot(r.Value)
	b.States[s.InstanceID] = append(b.States[s.InstanceID], s)
	return err
}

func (b *Books) takeOutcome(r *kgo.Record) error {
	o, err := avro.DecodeOutcome(r.Value)
	b.Outcomes[o.CommandID] = append(b.Outcomes[o.CommandID], o)
	return err
}

func (b *Books) takeTask(r *kgo.Record) error {
	t, err := avro.DecodeTask(r.Value)
	if t.WorkflowType == b.workflowType { // others may share the queue
		b.Tasks = append(b.Tasks, t)
	}
	return err
}

func (b *Books) takeDead(r *kgo.Record) error {
	source := fmt.Sprintf("%s/%s@%s", header(r, kafka.DeadLetterTopic), header(r, kafka.DeadLetterPartition), header(r, kafka.DeadLetterOffset))
	part := header(r, kafka.DeadLetterPart)
	if n := len(b.Dead); part != "" && !strings.HasPrefix(part, "1/") { // it follows the one before
		if n == 0 || b.Dead[n-1].Source != source {
			return fmt.Errorf("part %s of %s does not follow the one before", part, source)
		}
		b.Dead[n-1].Value = append(b.Dead[n-1].Value, r.Value...)
		return nil
	}
	b.Dead = append(b.Dead, Dead{source, header(r, kafka.DeadLetterReason), slices.Clone(r.Value)})
	return nil
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Text is a field of an event, of its data or of its metadata.
func Text(e *events.Event, name string) string {
	v, ok := e.Data[name]
	if !ok {
		v = e.Metadata[name]
	}
	return v.Str()
}

// Finished counts the instances whose newest snapshot is final.
func (b *Books) Finished() (n int) {
	for _, states := range b.States {
		if states[len(states)-1].State.Finished() {
			n++
		}
	}
	return n
}
