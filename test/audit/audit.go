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

// Wrong checks every law and lists what is broken.
func (b *Books) Wrong() []string {
	b.wrong = nil
	b.checkLaws()
	for id, list := range b.Events {
		b.checkReplay(id, list)
	}
	slices.Sort(b.wrong)
	return b.wrong
}

// checkLaws checks what needs no definition.
func (b *Books) checkLaws() {
	for id, list := range b.Events {
		b.checkSequence(id, list)
		b.checkCauses(id, list)
		b.checkTasks(id, list)
		b.checkState(id, list)
	}
	for id := range b.States {
		if len(b.Events[id]) == 0 {
			b.failf("%s has a snapshot and no event", id)
		}
	}
	b.checkDecisions()
	b.checkMoves()
	b.checkDead()
}

func (b *Books) failf(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

func (b *Books) home(id events.UUID) int32 {
	return topics.Partition([]byte(id.String()), b.partitions)
}

// checkSequence: 1, 2, 3, … in the order of the log, all in the instance's
// partition, and nothing after the end.
func (b *Books) checkSequence(id events.UUID, list []Event) {
	for i := range list {
		e := &list[i]
		if e.SequenceNumber != int64(i+1) {
			b.failf("%s: event %d of the log has sequence %d (%s)", id, i+1, e.SequenceNumber, e.EventType)
			return
		}
		if e.Partition != b.home(id) {
			b.failf("%s: sequence %d is in partition %d, its home is %d", id, e.SequenceNumber, e.Partition, b.home(id))
		}
		if want := events.EventID(b.workflowType, id, e.SequenceNumber); e.EventID != want {
			b.failf("%s: sequence %d has event id %s, want %s", id, e.SequenceNumber, e.EventID, want)
		}
		if (e.EventType == events.EventWorkflowCreated) != (i == 0) {
			b.failf("%s: %s is event %d", id, e.EventType, i+1)
		}
		if ends(e.EventType) && i != len(list)-1 && list[i+1].EventType != events.EventWorkflowRetrying {
			b.failf("%s: %d events follow %s", id, len(list)-1-i, e.EventType)
		}
	}
}

func ends(t events.EventType) bool {
	switch t {
	case events.EventWorkflowCompleted, events.EventWorkflowFailed, events.EventWorkflowCancelled, events.EventWorkflowTimeout:
		return true
	default:
		return false
	}
}

// checkCauses: a chain ends in the causation, which stands earlier in the same
// history or was named by the command; the correlation never changes.
func (b *Books) checkCauses(id events.UUID, list []Event) {
	known := make(map[events.UUID]bool, len(list))
	for i := range b.Commands {
		if c := &b.Commands[i]; c.Err == nil && c.InstanceID == id && !c.CausationID.IsNil() {
			known[c.CausationID] = true
		}
	}
	for i := range list {
		e := &list[i]
		n := len(e.CorrelationChain)
		switch {
		case (n == 0) != e.CausationID.IsNil(), n > 0 && e.CorrelationChain[n-1] != e.CausationID:
			b.failf("%s/%d: chain %v and causation %s", id, e.SequenceNumber, e.CorrelationChain, e.CausationID)
		case n > 0 && !known[e.CausationID]:
			b.failf("%s/%d: causation %s is no earlier event", id, e.SequenceNumber, e.CausationID)
		case n == 0 && Text(&e.Event, events.MetadataCommandID) == "":
			b.failf("%s/%d: %s has no causation and no command", id, e.SequenceNumber, e.EventType)
		}
		if e.CorrelationID != list[0].CorrelationID {
			b.failf("%s/%d: correlation %s, at first it was %s", id, e.SequenceNumber, e.CorrelationID, list[0].CorrelationID)
		}
		known[e.EventID] = true
	}
}

// life is where a task stands while its history is folded.
type life struct {
	attempt int64
	open    bool // the newest attempt has no end yet
	ended   bool
	failed  bool // and its end was a failure, from which a person may have it retried when it undoes
	decided bool // what it needs has ended
}

// next folds one event and says what is wrong with it.
//
//nolint:cyclop // one case an event
func (l *life) next(kind events.EventType, attempt int64) (wrong string) {
	before := *l
	if kind == events.EventTaskRetry && l.failed || kind == events.EventTaskSkipped && l.failed {
		l.failed, l.ended = false, kind == events.EventTaskSkipped
		return ""
	}
	switch kind {
	case events.EventTaskScheduled:
		if attempt != l.attempt+1 || l.open {
			wrong = fmt.Sprintf("follows attempt %d (open: %t)", before.attempt, before.open)
		}
		l.attempt, l.open = attempt, true
	case events.EventTaskStarted, events.EventTaskRetry:
		if attempt != l.attempt || !l.open {
			wrong = fmt.Sprintf("while the newest is %d (open: %t)", before.attempt, before.open)
		}
		l.open = kind == events.EventTaskStarted
	case events.EventTaskCompleted, events.EventTaskFailed, events.EventTaskCancelled, events.EventTaskSkipped:
		l.open, l.ended, l.failed = false, true, kind == events.EventTaskFailed
	case events.EventDependencyResolved, events.EventDependencyFailed:
		if l.attempt > 0 || l.decided {
			wrong = fmt.Sprintf("after attempt %d (decided: %t)", before.attempt, before.decided)
		}
		l.decided = true
	case events.EventResourceAllocated:
		if l.open {
			wrong = fmt.Sprintf("while attempt %d is open", before.attempt)
		}
	default:
		wrong = "is no event of a task"
	}
	if before.ended {
		wrong = "follows its end"
	}
	return wrong
}

// queued reports whether an event asks an executor for an attempt: nobody finds
// child workflows and what people do in a queue.
func queued(e *events.Event) bool {
	return e.EventType == events.EventTaskScheduled && Text(e, "child_id") == "" &&
		Text(e, "state") != string(events.TaskWaitingForInput)
}

// checkTasks: attempts are 1, 2, 3, …, each of a task that is open; a task ends
// once; and each attempt that is for an executor is one record of its queue.
func (b *Books) checkTasks(id events.UUID, list []Event) {
	lives := make(map[string]*life)
	issued := make(map[string]int)
	for i := range list {
		e := &list[i]
		task := Text(&e.Event, "task_id")
		if task == "" || e.EventType == events.EventCompensationFailed {
			continue
		}
		if lives[task] == nil {
			lives[task] = &life{}
		}
		attempt := e.Data["attempt"].Int()
		if wrong := lives[task].next(e.EventType, attempt); wrong != "" {
			b.failf("%s/%d: %s of task %s attempt %d %s", id, e.SequenceNumber, e.EventType, task, attempt, wrong)
		}
		if queued(&e.Event) {
			issued[fmt.Sprint(task, "/", attempt)]++
		}
	}
	for i := range b.Tasks {
		if t := &b.Tasks[i]; t.InstanceID == id {
			issued[fmt.Sprint(t.TaskID, "/", t.Attempt)]--
		}
	}
	for attempt, n := range issued {
		if n != 0 {
			b.failf("%s: task %s has %d more events than records in its queue", id, attempt, n)
		}
	}
	for task, l := range lives {
		if l.attempt > 0 && !l.ended && ends(list[len(list)-1].EventType) {
			b.failf("%s has ended and its task %s has not", id, task)
		}
	}
}

// checkState: the newest snapshot is the state after the newest event.
func (b *Books) checkState(id events.UUID, list []Event) {
	states := b.States[id]
	if len(states) == 0 {
		b.failf("%s has %d events and no snapshot", id, len(list))
		return
	}
	for i := 1; i < len(states); i++ {
		if states[i].SequenceNumber < states[i-1].SequenceNumber {
			b.failf("%s: snapshot %d follows %d", id, states[i].SequenceNumber, states[i-1].SequenceNumber)
		}
	}
	newest, last := &states[len(states)-1], &list[len(list)-1]
	if newest.SequenceNumber != last.SequenceNumber {
		b.failf("%s: the snapshot is at %d, the last event is %d", id, newest.SequenceNumber, last.SequenceNumber)
	}
	if newest.State.Finished() != ends(last.EventType) {
		b.failf("%s is %s and its last event is %s", id, newest.State, last.EventType)
	}
	if newest.State.Finished() && len(newest.Chart.Timers) > 0 {
		b.failf("%s has finished and still has timers: %+v", id, newest.Chart.Timers)
	}
}

// ofSchedules are the commands that the router makes by itself for the instances
// of schedules, within the transaction that decides them: their start, by the due
// that their key names, and what makes them end for the next one.
func (b *Books) ofSchedules() map[events.UUID]bool {
	own := make(map[events.UUID]bool)
	for id, history := range b.Events {
		schedule, due, found := strings.Cut(history[0].Data["key"].Str(), "/")
		if !found {
			continue
		}
		end := strings.LastIndex(due, "Z") + 1 // behind it is the number that leads into the partition
		from := events.ScheduleInstanceID(schedule)
		for _, what := range []string{"start/" + due[:end], "cancel/" + id.String(), "terminate/" + id.String()} {
			own[events.DeriveUUID(from, what)] = true
		}
	}
	return own
}

// checkDecisions: each command is decided once, and each copy of it, wherever
// it was sent to, is that decision or has an outcome. A parent gets no outcome
// when what it asks of its child changes nothing, but the child is there.
func (b *Books) checkDecisions() {
	decided := b.decided()
	ofSchedules := b.ofSchedules()
	copies := make(map[events.UUID]int)
	kinds := make(map[events.UUID]events.CommandType)
	quiet := make(map[events.UUID]bool)
	for i := range b.Commands {
		if c := &b.Commands[i]; c.Err == nil && c.Partition == b.home(c.InstanceID) {
			copies[c.CommandID]++
			kinds[c.CommandID] = c.Command.Command
			quiet[c.CommandID] = c.Parent != nil && len(b.Events[c.InstanceID]) > 0
		}
	}
	for id, n := range decided {
		if n > 1 {
			b.failf("command %s has %d decisions", id, n)
		}
		if copies[id] == 0 && !ofSchedules[id] {
			b.failf("command %s was decided and stands nowhere", id)
		}
	}
	held := b.held()
	for id, n := range copies {
		switch kinds[id] {
		case events.CommandClaim, events.CommandHeartbeat: // nobody waits for them
		default:
			if found := decided[id] + b.answered(id) + held[id]; found > n || found < n && !quiet[id] {
				b.failf("%s %s stands %d times in the log: %d decisions, outcomes %v", kinds[id], id, n, decided[id], b.Outcomes[id])
			}
		}
	}
}

// answered counts the outcomes of a command, without those that say that it is
// held: another answer follows.
func (b *Books) answered(id events.UUID) (n int) {
	for i := range b.Outcomes[id] {
		if b.Outcomes[id][i].Status != events.OutcomeHeld {
			n++
		}
	}
	return n
}

// held counts the commands that instances hold at the end.
func (b *Books) held() map[events.UUID]int {
	held := make(map[events.UUID]int)
	for _, states := range b.States {
		for _, h := range states[len(states)-1].Held {
			if h.Command != nil {
				held[h.Command.CommandID]++
			}
		}
	}
	return held
}

// decided counts the decisions of each command: runs of events in one history
// that name it, at one instant.
func (b *Books) decided() map[events.UUID]int {
	decided := make(map[events.UUID]int)
	for id, list := range b.Events {
		var before string
		parked := make(map[string]bool) // an incident is not the last word: a retry decides again
		for i := range list {
			text := Text(&list[i].Event, events.MetadataCommandID)
			run := text + list[i].Timestamp.String()
			again := parked[text] && run != before
			if run != before || list[i].EventType == events.EventErrorOccurred {
				parked[text] = list[i].EventType == events.EventErrorOccurred
			}
			if again {
				before = run
				continue
			}
			if text != "" && run != before {
				command, err := events.ParseUUID(text)
				if err != nil {
					b.failf("%s/%d: command_id %q: %v", id, list[i].SequenceNumber, text, err)
				}
				decided[command]++
			}
			before = run
		}
	}
	return decided
}

// checkMoves: a command on the wrong partition is moved once, no other one is.
func (b *Books) checkMoves() {
	moved := make(map[string]int)
	for i := range b.Commands {
		moved[b.Commands[i].movedFrom]++
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		want := 0
		if c.Err == nil && c.Partition != b.home(c.InstanceID) {
			want = 1
		}
		if got := moved[b.place(c)]; got != want {
			b.failf("the command at %s was moved %d times, want %d", b.place(c), got, want)
		}
	}
}

func (b *Books) place(c *Command) string {
	return fmt.Sprintf("%s/%d@%d", b.names.Commands(b.workflowType), c.Partition, c.Offset)
}

// checkDead: what cannot be read is kept once, and so is nothing else but what
// could not be decided, which has an outcome.
func (b *Books) checkDead() {
	kept := make(map[string]int)
	for _, d := range b.Dead {
		kept[d.Source]++
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		n := kept[b.place(c)]
		delete(kept, b.place(c))
		if c.Err != nil && n != 1 || n > 1 || n == 1 && c.Err == nil && len(b.Outcomes[c.CommandID]) == 0 {
			b.failf("the record at %s (%v) is %d times in the dead-letter topic", b.place(c), c.Err, n)
		}
	}
	for source := range kept {
		b.failf("a dead letter says it is from %q, where nothing is", source)
	}
}
