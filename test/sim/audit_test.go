//go:build synctests

package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
)

// books is everything that stands in the topics, read committed and decoded
// here, with nothing of the workers' own reading.
type books struct {
	commands    map[int32][]command
	events      map[events.UUID][]event // in offset order
	states      map[events.UUID][]events.Snapshot
	checkpoints map[int32]int64 // newest of each partition
	tasks       []task
	outcomes    map[events.UUID][]events.Outcome // by command id
	dead        []string
	wrong       []string // what broke a law while it was read
}

type command struct {
	events.Command
	offset int64
	moved  string // where it was moved from
}

type task struct {
	events.Task
	partition int32
	offset    int64
}

type event struct {
	events.Event
	partition int32
	offset    int64
}

// readBooks reads every topic from its start to its end.
func (w *world) readBooks(ctx context.Context) (*books, error) {
	b := &books{
		commands: make(map[int32][]command), events: make(map[events.UUID][]event), states: make(map[events.UUID][]events.Snapshot),
		checkpoints: make(map[int32]int64), outcomes: make(map[events.UUID][]events.Outcome),
	}
	take := map[string]func(*kgo.Record) error{
		w.names.Commands(workflowType):                      b.takeCommand,
		w.names.Events(workflowType):                        b.takeEvent,
		w.names.State(workflowType):                         b.takeState,
		w.names.Outcomes(workflowType):                      b.takeOutcome,
		w.names.Tasks("work"):                               b.takeTask,
		w.names.DeadLetters(w.names.Commands(workflowType)): b.takeDead,
		w.names.DeadLetters(w.names.Tasks("work")):          b.takeDead,
	}
	return b, w.readTopics(ctx, slices.Collect(maps.Keys(take)), func(r *kgo.Record) error {
		if err := take[r.Topic](r); err != nil {
			return fmt.Errorf("%s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		return nil
	})
}

// readTopics calls visit with every committed record of topics, in the order of
// each partition, up to where they end now. Control records say where that is.
func (w *world) readTopics(ctx context.Context, topics []string, visit func(*kgo.Record) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.safe.Brokers...), kgo.Dialer(w.safe.Dial), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("end offsets: %w", err)
	}
	left := make(map[string]bool)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[fmt.Sprint(o.Topic, o.Partition)] = true
		}
	})
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read topics: %w", err)
		}
		for _, r := range fetches.Records() {
			end, _ := ends.Lookup(r.Topic, r.Partition)
			if r.Offset >= end.Offset-1 {
				delete(left, fmt.Sprint(r.Topic, r.Partition))
			}
			if r.Attrs.IsControl() || r.Offset >= end.Offset {
				continue
			}
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *books) takeCommand(r *kgo.Record) error {
	c, err := avro.ParseCommand(r.Value)
	if err != nil {
		return err
	}
	kept := command{Command: c, offset: r.Offset}
	for _, h := range r.Headers {
		if h.Key == "leat-moved-from" {
			kept.moved = string(h.Value)
		}
	}
	b.commands[r.Partition] = append(b.commands[r.Partition], kept)
	return nil
}

func (b *books) takeEvent(r *kgo.Record) error {
	e, err := avro.DecodeEvent(r.Value)
	if err != nil {
		return err
	}
	if string(r.Key) != e.InstanceID.String() {
		return fmt.Errorf("key %q and instance %s", r.Key, e.InstanceID)
	}
	if list := e.Undeclared(); list != nil {
		b.wrong = append(b.wrong, fmt.Sprintf("event %d of %s, %s, carries what its kind does not declare: %v", e.SequenceNumber, e.InstanceID, e.EventType, list))
	}
	b.events[e.InstanceID] = append(b.events[e.InstanceID], event{e, r.Partition, r.Offset})
	return nil
}

func (b *books) takeState(r *kgo.Record) error {
	if strings.HasPrefix(string(r.Key), events.ScheduleProgressPrefix) {
		return nil
	}
	if string(r.Key) == events.CheckpointKey {
		c, err := avro.DecodeCheckpoint(r.Value)
		if err != nil {
			return err
		}
		if c.NextOffset < b.checkpoints[r.Partition] {
			b.wrong = append(b.wrong, fmt.Sprintf("I2: the checkpoint of partition %d goes back from %d to %d at offset %d",
				r.Partition, b.checkpoints[r.Partition], c.NextOffset, r.Offset))
		}
		b.checkpoints[r.Partition] = c.NextOffset
		return nil
	}
	s, err := avro.DecodeSnapshot(r.Value)
	if err == nil {
		b.states[s.InstanceID] = append(b.states[s.InstanceID], s)
	}
	return err
}

func (b *books) takeTask(r *kgo.Record) error {
	t, err := avro.DecodeTask(r.Value)
	b.tasks = append(b.tasks, task{t, r.Partition, r.Offset})
	return err
}

func (b *books) takeOutcome(r *kgo.Record) error {
	o, err := avro.DecodeOutcome(r.Value)
	b.outcomes[o.CommandID] = append(b.outcomes[o.CommandID], o)
	return err
}

func (b *books) takeDead(r *kgo.Record) error {
	b.dead = append(b.dead, fmt.Sprintf("%s@%d: %v", r.Topic, r.Offset, r.Headers))
	return nil
}

// unfinished says what still has to happen, "" when nothing does.
func (w *world) unfinished(b *books) string {
	left := 0
	for id := range w.ledger.asked {
		states := b.states[id]
		if len(states) == 0 || !states[len(states)-1].State.Finished() {
			left++
		}
	}
	if left > 0 {
		return fmt.Sprintf("%d of %d instances have not finished", left, len(w.ledger.asked))
	}
	for p, list := range b.commands {
		if last := list[len(list)-1].offset; b.checkpoints[p] <= last {
			return fmt.Sprintf("commands/%d is decided up to %d, its last command is at %d", p, b.checkpoints[p], last)
		}
	}
	return ""
}

// awaitQuiet waits until everything that was asked for has happened, and no
// message is on its way any more.
func (w *world) awaitQuiet(ctx context.Context) (*books, error) {
	const late = 40 * time.Second // longer than any frame is delayed, and any task runs
	began := time.Now()
	for {
		b, err := w.readBooks(ctx)
		if err != nil {
			return nil, err
		}
		left := w.unfinished(b)
		if left == "" && time.Since(began) > late {
			return b, nil
		}
		if time.Since(began) > quietFor {
			if verbose() {
				w.logger.Info("STACKS", "stacks", stacks())
			}
			return b, fmt.Errorf("not quiet %s after the last fault: %s", quietFor, left)
		}
		time.Sleep(5 * time.Second)
	}
}

// auditor collects what is wrong.
type auditor struct {
	world *world
	books *books
	wrong []string
}

func (a *auditor) failf(law, format string, args ...any) {
	a.wrong = append(a.wrong, law+": "+fmt.Sprintf(format, args...))
}

// audit checks every law and returns what is broken.
func (w *world) audit(ctx context.Context, b *books) []string {
	a := &auditor{world: w, books: b, wrong: b.wrong}
	for id, list := range b.events {
		if w.ledger.asked[id] == nil {
			a.failf("I3", "instance %s was never asked for", id)
			continue
		}
		a.sequence(id, list)
		a.causes(id, list)
		a.life(id, list)
		a.state(id, list)
		a.places(id, list)
	}
	for id := range w.ledger.asked {
		if len(b.events[id]) == 0 {
			a.failf("I3", "instance %s was started and acknowledged and does not exist", id)
		}
	}
	for id := range b.states {
		if len(b.events[id]) == 0 {
			a.failf("I4", "instance %s has a snapshot and no event", id)
		}
	}
	a.decisions()
	a.descriptions()
	a.tasks()
	a.positions(ctx)
	a.view()
	for _, d := range b.dead {
		a.failf("I3", "dead letter %s", d)
	}
	slices.Sort(a.wrong)
	return a.wrong
}

// sequence is I1: 1, 2, 3, … in offset order, in the instance's partition.
func (a *auditor) sequence(id events.UUID, list []event) {
	for i := range list {
		e := &list[i]
		if e.SequenceNumber != int64(i+1) {
			a.failf("I1", "%s: event %d in the log has sequence %d (%s)\n%s", id, i+1, e.SequenceNumber, e.EventType, listing(list))
			return
		}
		if e.partition != home(id) {
			a.failf("I1", "%s: sequence %d is in partition %d, its home is %d", id, e.SequenceNumber, e.partition, home(id))
		}
		if want := events.EventID(workflowType, id, e.SequenceNumber); e.EventID != want {
			a.failf("I1", "%s: sequence %d has event id %s, want %s", id, e.SequenceNumber, e.EventID, want)
		}
	}
}

// listing is a history for people.
func listing(list []event) string {
	var b strings.Builder
	for i := range list {
		e := &list[i]
		fmt.Fprintf(&b, "\t%4d %-20s at %s by %s in %d@%d command %s\n", e.SequenceNumber, e.EventType,
			e.Timestamp.Format("15:04:05.000000"), e.Source, e.partition, e.offset, text(e, events.MetadataCommandID))
	}
	return b.String()
}

// causes is I9: the chain ends in the causation, which stands earlier in the
// same instance; only what came from outside has none.
func (a *auditor) causes(id events.UUID, list []event) {
	known := make(map[events.UUID]bool, len(list))
	for i := range list {
		e := &list[i]
		n := len(e.CorrelationChain)
		switch {
		case (n == 0) != e.CausationID.IsNil(), n > 0 && e.CorrelationChain[n-1] != e.CausationID:
			a.failf("I9", "%s/%d: chain %v and causation %s", id, e.SequenceNumber, e.CorrelationChain, e.CausationID)
		case n > 0 && !known[e.CausationID]:
			a.failf("I9", "%s/%d: causation %s is no earlier event of the instance", id, e.SequenceNumber, e.CausationID)
		case n == 0 && text(e, events.MetadataCommandID) == "":
			a.failf("I9", "%s/%d: %s has no causation and no command", id, e.SequenceNumber, e.EventType)
		}
		if e.CorrelationID != list[0].CorrelationID {
			a.failf("I9", "%s/%d: correlation %s, at first it was %s", id, e.SequenceNumber, e.CorrelationID, list[0].CorrelationID)
		}
		known[e.EventID] = true
	}
}

// taskLife is where one task stands while a history is folded.
type taskLife struct {
	attempt   int64
	open      bool // the newest attempt waits for its end
	started   bool
	completed bool
	retryAt   time.Time
}

// life is I5, I7 and I8: the history is one that the definition allows.
func (a *auditor) life(id events.UUID, list []event) {
	bad := func(law string, e *event, format string, args ...any) {
		a.failf(law, "%s/%d %s: %s", id, e.SequenceNumber, e.EventType, fmt.Sprintf(format, args...))
	}
	lives := make(map[string]*taskLife)
	var signals, timers int
	var waitingSince time.Time
	for i := range list {
		e := &list[i]
		first, last := i == 0, i == len(list)-1
		switch e.EventType {
		case events.EventWorkflowCreated:
			if !first {
				bad("I5", e, "created again")
			}
		case events.EventWorkflowStarted:
			if i != 1 {
				bad("I5", e, "started as event %d", i+1)
			}
		case events.EventWorkflowCompleted:
			if !last {
				bad("I5", e, "%d events follow the end", len(list)-1-i)
			}
		case events.EventStateTransitioned:
			if text(e, events.MetadataDomainEvent) == "more" {
				signals++
			}
			if strings.HasPrefix(text(e, "event"), "after.") {
				timers++
				a.world.seen.add("timers audited")
				if e.Timestamp.Before(waitingSince.Add(timerWait)) {
					bad("I8", e, "the timer fired %s early", waitingSince.Add(timerWait).Sub(e.Timestamp))
				}
			}
			if slices.Contains(e.Data["entered"].List(), "waiting") {
				waitingSince = e.Timestamp
			}
		case events.EventTaskScheduled, events.EventTaskStarted, events.EventTaskRetry, events.EventTaskCompleted:
			a.task(e, lives, func(format string, args ...any) { bad("I7", e, format, args...) })
		default:
			bad("I5", e, "unexpected")
		}
		if last && e.EventType != events.EventWorkflowCompleted {
			bad("I15", e, "is the last event")
		}
	}
	asked := a.world.ledger.asked[id]
	if signals != asked.need {
		a.failf("I2", "%s: %d signals were decided, %d were sent and acknowledged", id, signals, asked.need)
	}
	if timers != 1 {
		a.failf("I8", "%s: the timer fired %d times", id, timers)
	}
	if len(lives) != 2 {
		a.failf("I7", "%s: %d tasks, want 2", id, len(lives))
	}
	for task, l := range lives {
		if !l.completed {
			a.failf("I7", "%s: task %s never ended; attempt %d is %s", id, task, l.attempt, a.issued(task, l.attempt))
		}
	}
}

// issued says where the record of an attempt stands.
func (a *auditor) issued(id string, attempt int64) string {
	for i := range a.books.tasks {
		if t := &a.books.tasks[i]; t.TaskID.String() == id && int64(t.Attempt) == attempt {
			return fmt.Sprintf("tasks/%d@%d, issued %s, handled %d times", t.partition, t.offset, t.ScheduledAt, a.world.ledger.runs[t.TaskID][int(attempt)])
		}
	}
	return "nowhere in the task topic"
}

// task folds one event of a task.
func (a *auditor) task(e *event, lives map[string]*taskLife, bad func(string, ...any)) {
	id := text(e, "task_id")
	attempt := e.Data["attempt"].Int()
	l := lives[id]
	if l == nil {
		l = &taskLife{}
		lives[id] = l
	}
	if l.completed {
		bad("after the task's end")
	}
	if e.EventType != events.EventTaskScheduled && (attempt != l.attempt || !l.open) {
		bad("of attempt %d, the newest is %d (open: %t)", attempt, l.attempt, l.open)
	}
	switch e.EventType {
	case events.EventTaskScheduled:
		if attempt != l.attempt+1 || l.open {
			bad("attempt %d follows %d (open: %t)", attempt, l.attempt, l.open)
		}
		if e.Timestamp.Before(l.retryAt) {
			bad("attempt %d came %s before its back-off was over", attempt, l.retryAt.Sub(e.Timestamp))
		}
		l.attempt, l.open, l.started = attempt, true, false
	case events.EventTaskStarted:
		if l.started {
			bad("started twice")
		}
		l.started = true
		a.world.seen.add("claims audited")
	case events.EventTaskRetry:
		at, err := time.Parse(time.RFC3339Nano, text(e, "retry_at"))
		if err != nil {
			bad("retry_at: %v", err)
		}
		l.open, l.retryAt = false, at
		a.world.seen.add("retries audited: " + text(e, "error_code"))
	case events.EventTaskCompleted:
		l.open, l.completed = false, true
		task, err := events.ParseUUID(id)
		if err != nil || a.world.ledger.runs[task][int(attempt)] == 0 {
			bad("a result without a run of attempt %d", attempt)
		}
	default:
	}
}

func text(e *event, name string) string {
	v, ok := e.Data[name]
	if !ok {
		v = e.Metadata[name]
	}
	return v.Str()
}

// state is I4: the newest snapshot is the state after the newest event.
func (a *auditor) state(id events.UUID, list []event) {
	states := a.books.states[id]
	if len(states) == 0 {
		a.failf("I4", "%s has %d events and no snapshot", id, len(list))
		return
	}
	var before int64
	for i := range states {
		if states[i].SequenceNumber < before {
			a.failf("I4", "%s: snapshot %d follows snapshot %d", id, states[i].SequenceNumber, before)
		}
		before = states[i].SequenceNumber
	}
	newest := states[len(states)-1]
	if newest.SequenceNumber != int64(len(list)) {
		a.failf("I4", "%s: the snapshot is at %d, the last event is %d", id, newest.SequenceNumber, len(list))
	}
	if want := fmt.Sprintf(`{"n":%d}`, a.world.ledger.asked[id].need); newest.State != events.WorkflowCompleted || string(newest.Output) != want {
		a.failf("I15", "%s is %s with output %s, want completed with %s", id, newest.State, newest.Output, want)
	}
	if len(newest.Chart.Timers) > 0 {
		a.failf("I8", "%s has finished and still has timers: %+v", id, newest.Chart.Timers)
	}
}

// decisions is I2 and I3: each command that stands in the log is decided once,
// and each that was acknowledged stands there.
func (a *auditor) decisions() {
	records := make(map[events.UUID][]command)
	movedHere := make(map[string]int)
	for p, list := range a.books.commands {
		for _, c := range list {
			if c.moved != "" {
				movedHere[c.moved]++
			}
			if home(c.InstanceID) == p && !c.CommandID.IsNil() {
				records[c.CommandID] = append(records[c.CommandID], c)
			}
		}
	}
	for p, list := range a.books.commands {
		for _, c := range list {
			from := fmt.Sprintf("%s/%d@%d", a.world.names.Commands(workflowType), p, c.offset)
			if want := btoi(home(c.InstanceID) != p); movedHere[from] != want {
				a.failf("I2", "the command at %s was moved %d times, want %d", from, movedHere[from], want)
			}
		}
	}
	decided := a.decided()
	for id, n := range a.world.ledger.acked {
		if len(records[id]) < n {
			a.failf("I3", "command %s was acknowledged %d times and stands %d times in the log", id, n, len(records[id]))
		}
	}
	for id, copies := range records {
		kind, outcomes := copies[0].Command.Command, a.books.outcomes[id]
		switch kind {
		case events.CommandStart, events.CommandSignal:
			if decided[id] != 1 || len(outcomes) != len(copies)-1 {
				a.failf("I2", "%s %s stands %d times in the log: %d decisions, outcomes %v", kind, id, len(copies), decided[id], statuses(outcomes))
			}
			for _, o := range outcomes {
				if o.Status != events.OutcomeDuplicate {
					a.failf("I2", "%s %s: outcome %s %v", kind, id, o.Status, o.Error)
				}
			}
		case events.CommandResult:
			if decided[id] > 1 || decided[id]+len(outcomes) != len(copies) {
				a.failf("I2", "result %s stands %d times in the log: %d decisions, outcomes %v", id, len(copies), decided[id], statuses(outcomes))
			}
			a.world.seen.addN("late results refused", len(outcomes))
		default:
			if decided[id] > 1 {
				a.failf("I2", "%s %s has %d decisions", kind, id, decided[id])
			}
		}
	}
	for id := range decided {
		if len(records[id]) == 0 {
			a.failf("I2", "command %s was decided and stands nowhere", id)
		}
	}
}

// decided counts the decisions of each command: runs of events in one history
// that name it, at one instant.
func (a *auditor) decided() map[events.UUID]int {
	decided := make(map[events.UUID]int)
	for id, list := range a.books.events {
		var before string
		var at time.Time
		for i := range list {
			e := &list[i]
			name := text(e, events.MetadataCommandID)
			if name != "" && (name != before || !e.Timestamp.Equal(at)) {
				c, err := events.ParseUUID(name)
				if err != nil {
					a.failf("I2", "%s/%d: command id %q", id, e.SequenceNumber, name)
				}
				decided[c]++
			}
			before, at = name, e.Timestamp
		}
	}
	return decided
}

func statuses(list []events.Outcome) (all []events.OutcomeStatus) {
	for _, o := range list {
		all = append(all, o.Status)
	}
	return all
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tasks is I4 and I7: one record for each scheduled attempt, and no other.
func (a *auditor) tasks() {
	type attempt struct {
		task   events.UUID
		number int32
	}
	issued := make(map[attempt]int)
	causes := make(map[events.UUID]int)
	for i := range a.books.tasks {
		t := &a.books.tasks[i]
		issued[attempt{t.TaskID, t.Attempt}]++
		causes[t.CausationID]++
		if t.IdempotencyKey != t.TaskID.String() {
			a.failf("I6", "task %s has idempotency key %s", t.TaskID, t.IdempotencyKey)
		}
	}
	scheduled := 0
	for id, list := range a.books.events {
		for i := range list {
			e := &list[i]
			if e.EventType != events.EventTaskScheduled {
				continue
			}
			scheduled++
			n := e.Data["attempt"].Int()
			task, err := events.ParseUUID(text(e, "task_id"))
			if err != nil {
				a.failf("I4", "%s/%d: %v", id, e.SequenceNumber, err)
			}
			if got := issued[attempt{task, int32(n)}]; got != 1 || causes[e.EventID] != 1 {
				a.failf("I4", "%s/%d schedules attempt %d of %s: %d task records, %d with it as cause", id, e.SequenceNumber, n, task, got, causes[e.EventID])
			}
		}
	}
	if scheduled != len(a.books.tasks) {
		a.failf("I4", "%d attempts are scheduled and %d task records issued", scheduled, len(a.books.tasks))
	}
}

// positions: the group's offsets are those of the checkpoints.
func (a *auditor) positions(ctx context.Context) {
	client, err := kgo.NewClient(kgo.SeedBrokers(a.world.safe.Brokers...), kgo.Dialer(a.world.safe.Dial))
	if err != nil {
		a.failf("audit", "%v", err)
		return
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	a.handedOver(ctx, admin)
	committed, err := admin.FetchOffsets(ctx, router.DefaultGroup)
	if err != nil {
		a.failf("audit", "%v", err)
		return
	}
	for p := range int32(partitions) {
		at, ok := committed.Lookup(a.world.names.Commands(workflowType), p)
		if want := a.books.checkpoints[p]; ok && at.At != want || !ok && want != 0 {
			a.failf("I4", "partition %d: the group is at %d, the checkpoint at %d", p, at.At, want)
		}
	}
}

// handedOver: the executors' group has read every task.
func (a *auditor) handedOver(ctx context.Context, admin *kadm.Client) {
	committed, err := admin.FetchOffsets(ctx, "leat.executor.work")
	if err != nil {
		a.failf("audit", "%v", err)
		return
	}
	last := make(map[int32]int64)
	for i := range a.books.tasks {
		last[a.books.tasks[i].partition] = a.books.tasks[i].offset
	}
	for p, offset := range last {
		if at, ok := committed.Lookup(a.world.names.Tasks("work"), p); !ok || at.At <= offset {
			a.failf("I15", "the executors' group is at %d of tasks/%d, its last task is at %d", at.At, p, offset)
		}
	}
}

// view is I10: the projector shows what the log says.
func (a *auditor) view() {
	for id, list := range a.books.events {
		var s events.Snapshot
		path := fmt.Sprintf("/api/v1/instances/%s/%s", workflowType, id)
		if err := a.world.get(fmt.Sprintf("%s?min_sequence=%d&wait=60s", path, len(list)), &s); err != nil {
			a.failf("I10", "%v", err)
			continue
		}
		var want string
		if states := a.books.states[id]; len(states) > 0 {
			want = asJSON(states[len(states)-1])
		}
		if got := asJSON(s); got != want {
			a.failf("I10", "%s in the view: %s\nin the log: %s", id, got, want)
		}
		var page struct {
			Items []struct {
				EventID        events.UUID `json:"event_id"`
				SequenceNumber int64       `json:"sequence_number"`
				Partition      int32       `json:"partition"`
				Offset         int64       `json:"offset"`
			} `json:"items"`
		}
		if err := a.world.get(fmt.Sprintf("%s/history?limit=1000&min_sequence=%d&wait=60s", path, len(list)), &page); err != nil {
			a.failf("I10", "%v", err)
			continue
		}
		if len(page.Items) != len(list) {
			a.failf("I10", "%s has %d events in the view and %d in the log", id, len(page.Items), len(list))
			continue
		}
		for i, item := range page.Items {
			if e := &list[i]; item.EventID != e.EventID || item.Offset != e.offset || item.Partition != e.partition {
				a.failf("I10", "%s: event %d in the view is %+v, in the log %s at %d@%d", id, i+1, item, e.EventID, e.partition, e.offset)
			}
		}
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
