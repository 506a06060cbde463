package router

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/schedule"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// What one transaction does for one schedule; the rest is for the next.
const (
	maxScheduleSteps  = 1000
	maxScheduleStarts = 100
)

// CodeOverlap says that a trigger led to nothing because of the overlap policy.
const CodeOverlap = "OVERLAP"

// driven is a schedule as the transaction leaves it.
type driven struct {
	schedule *schedule.Schedule
	next     schedule.Progress
	wake     time.Time
	record   []byte // next as it goes into the state topic; nil when nothing changed
}

// scheduleAt names a schedule and where it is driven.
type scheduleAt struct {
	partition shard.Partition
	id        string
}

// schedules decides what has come, of every open partition: dues, and ends of
// instances that a due waits for. It comes last, when the transaction knows how
// all instances stand.
func (t *transaction) schedules(ctx context.Context) error {
	t.began, t.decided = time.Now(), 0 // a time of their own, as timers have
	for p := range t.batch.Open {
		if t.lane.isBehind(p) || !t.lane.blocked(p, t.now).IsZero() {
			continue // as timers do: what ended in time has to be known first
		}
		part, err := t.agenda(p)
		if err != nil {
			return err
		}
		if part == nil {
			continue
		}
		for _, id := range part.orphans {
			t.touched[p] = true
			t.orphans = append(t.orphans, scheduleAt{p, id})
		}
		for _, id := range t.due(p, part) {
			if t.full() {
				return nil // they are due still
			}
			if err := t.drive(ctx, scheduleAt{p, id}, part, schedule.Action{Kind: schedule.Noted}); err != nil {
				return fmt.Errorf("drive schedule %s in %s: %w", id, p, err)
			}
		}
	}
	return nil
}

func (t *transaction) agenda(p shard.Partition) (*agendaPart, error) {
	workflowType, _ := t.lane.config.Names.TypeOfCommands(p.Topic)
	n := t.lane.registry.Partitions(workflowType)
	if n == 0 {
		return nil, nil //nolint:nilnil // the type is not known yet, nor are its schedules
	}
	return t.lane.agenda.refresh(p, workflowType, n, t.now)
}

// due lists the schedules of p that want to decide, in order.
func (t *transaction) due(p shard.Partition, part *agendaPart) []string {
	ids := make(map[string]bool)
	if !part.wake.IsZero() && !part.wake.After(t.now) {
		for id, planned := range part.byID {
			if !planned.wake.IsZero() && !planned.wake.After(t.now) {
				ids[id] = true
			}
		}
	}
	if len(part.watched) > 0 {
		for at, e := range t.overlay {
			if id, watched := part.watched[at.id]; watched && at.partition == p && e.changed && e.cur.State.Finished() {
				ids[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// drive lets a schedule decide until it is idle, and does what it says. action
// is what it has decided already.
func (t *transaction) drive(ctx context.Context, at scheduleAt, part *agendaPart, action schedule.Action) error {
	d := t.driving(at, part)
	s, before := d.schedule, len(d.next.Running)
	changed := action.Kind != schedule.Noted
	if err := t.forgetEnded(at.partition, d); err != nil {
		return err
	}
	changed = changed || len(d.next.Running) != before
	d.wake = t.now // unless it turns out to be idle
	for steps, starts := 0, 0; ; steps++ {
		var err error
		switch action.Kind {
		case schedule.Start:
			starts++
			t.decided++
			err = t.startScheduled(ctx, at, d, action.Due)
		case schedule.Interrupt:
			err = t.interrupt(ctx, at, d, action)
		default:
		}
		if err != nil {
			return err
		}
		if steps == maxScheduleSteps || starts == maxScheduleStarts || starts > 0 && t.full() {
			break
		}
		if d.next, action = s.Decide(d.next, t.now); action.Kind == schedule.Idle {
			d.wake = s.Wake(d.next)
			break
		}
		changed = true
	}
	return t.keep(at, d, changed)
}

// driving is a schedule as this transaction sees it.
func (t *transaction) driving(at scheduleAt, part *agendaPart) *driven {
	if d := t.driven[at]; d != nil {
		return d
	}
	planned := part.byID[at.id]
	d := &driven{schedule: planned.schedule, next: planned.progress, wake: planned.wake}
	if t.driven == nil {
		t.driven = make(map[scheduleAt]*driven)
	}
	t.driven[at] = d
	return d
}

// keep makes the progress part of the transaction.
func (t *transaction) keep(at scheduleAt, d *driven, changed bool) (err error) {
	if !changed && d.record == nil {
		return nil
	}
	t.touched[at.partition] = true
	d.next.UpdatedAt = t.now
	d.record, err = avro.EncodeProgress(&d.next)
	return err
}

func (t *transaction) forgetEnded(p shard.Partition, d *driven) (err error) {
	if len(d.next.Running) == 0 {
		return nil
	}
	d.next = schedule.Ended(d.next, func(id events.UUID) bool {
		e, failed := t.instance(instance{p, id})
		if failed != nil {
			err = failed
			return false
		}
		return e.cur == nil || e.cur.State.Finished()
	})
	return err
}

// startScheduled starts the instance of a due within this transaction, or sends
// the start on when its key leads elsewhere.
func (t *transaction) startScheduled(ctx context.Context, at scheduleAt, d *driven, due time.Time) error {
	s := d.schedule
	c := s.Start(due, t.lane.registry.Partitions(s.WorkflowType))
	run := events.ScheduledStart{Due: due, StartedAt: t.now, InstanceID: c.InstanceID}
	if !s.Watched() {
		if err := t.put(t.send(&c)); err != nil {
			d.next = schedule.Refused(d.next, &events.Error{Code: decide.CodeOf(coded(err)), Message: events.Cut(err.Error(), events.MaxMessageLength)})
			return nil // the schedule tells
		}
		d.next = schedule.Started(d.next, run, false)
		return nil
	}
	outcome, e, err := t.own(ctx, instance{at.partition, c.InstanceID}, &c)
	switch {
	case err != nil:
		return err
	case outcome != nil && outcome.Status == events.OutcomeDuplicate:
		if !e.cur.State.Finished() {
			d.next = schedule.Watch(d.next, run) // a due that comes a second time, as in a backfill
		}
	case outcome != nil:
		d.next = schedule.Refused(d.next, outcome.Error)
		t.lane.config.Logger.LogAttrs(ctx, slog.LevelWarn, "scheduled start is rejected", slog.String("schedule", at.id),
			slog.String("type", s.WorkflowType), slog.Time("due", due), slog.String("code", outcome.Error.Code), slog.String("error", outcome.Error.Message))
	default:
		d.next = schedule.Started(d.next, run, !e.cur.State.Finished())
	}
	return nil
}

// interrupt ends instances for a scheduled run that waits.
func (t *transaction) interrupt(ctx context.Context, at scheduleAt, d *driven, action schedule.Action) error {
	what := events.CommandCancel
	if action.Policy == events.OverlapTerminateOther {
		what = events.CommandTerminate
	}
	for _, id := range action.Instances {
		target := instance{at.partition, id}
		e, err := t.instance(target)
		if err != nil {
			return err
		}
		c := events.Command{
			CommandID: events.DeriveUUID(events.ScheduleInstanceID(at.id), string(what)+"/"+id.String()),
			Command:   what, WorkflowType: d.schedule.WorkflowType, InstanceID: id, Source: "schedule/" + at.id, Timestamp: t.now,
		}
		if e.cur != nil {
			c.ExpectedSequence = new(e.cur.SequenceNumber)
		}
		c.Resolve(c.CommandID)
		outcome, _, err := t.own(ctx, target, &c)
		if err != nil {
			return err
		}
		if outcome != nil && outcome.Error != nil {
			t.lane.config.Logger.LogAttrs(ctx, slog.LevelWarn, "instance cannot be ended for its schedule, the scheduled run waits until it ends",
				slog.String("schedule", at.id), slog.String("instance", id.String()), slog.String("error", outcome.Error.Message))
		}
	}
	return t.forgetEnded(at.partition, d)
}

// own decides a command of the router's own making, for which no client waits: its
// outcome is returned and not written. An error is about the store or the
// definitions.
func (t *transaction) own(ctx context.Context, at instance, c *events.Command) (*events.Outcome, *entry, error) {
	e, err := t.instance(at)
	if err != nil {
		return nil, nil, err
	}
	in := t.input()
	in.Command, in.Explicit = c, true
	f, err := t.decide(ctx, request{at: at, entry: e, in: in, own: true})
	if err != nil {
		return nil, nil, err
	}
	if f.lost != nil {
		return decide.GiveUp(in, e.cur, f.lost).Outcome, e, nil //nolint:nilerr // the outcome tells
	}
	return f.Outcome, e, nil
}

// scheduleAsked is the schedule that a command is for, "" when it is for an instance.
func scheduleAsked(c *events.Command) string {
	if c.Command != events.CommandSignal || c.Event != events.ScheduleTrigger && c.Event != events.ScheduleBackfill {
		return ""
	}
	var r events.ScheduleRequest
	if json.Unmarshal(c.Payload, &r) != nil || events.ScheduleInstanceID(r.ScheduleID) != c.InstanceID {
		return ""
	}
	return r.ScheduleID
}

// askSchedule decides a command that is for a schedule of its partition.
func (t *transaction) askSchedule(ctx context.Context, p shard.Partition, id string, in decide.Input) (decide.Decision, error) {
	part, err := t.knownSchedule(ctx, p, id)
	if err != nil {
		return decide.Decision{}, err
	}
	reject := func(code, message string) (decide.Decision, error) {
		return decide.Answer(in, nil, events.OutcomeRejected, code, message), nil
	}
	if part == nil {
		return reject(decide.CodeNotFound, fmt.Sprintf("there is no schedule %q of type %q", id, in.Command.WorkflowType))
	}
	at := scheduleAt{p, id}
	d := t.driving(at, part)
	if err := t.forgetEnded(p, d); err != nil {
		return decide.Decision{}, err
	}
	request, err := d.schedule.Request(in.Command)
	if err != nil {
		return reject(decide.CodeInvalidInput, err.Error())
	}
	next, action, known, err := schedule.Ask(d.next, in.Command, request, t.now)
	switch {
	case err != nil:
		return reject(decide.CodeInvalidInput, err.Error())
	case known:
		return decide.Duplicate(in, &events.Snapshot{WorkflowType: in.Command.WorkflowType, InstanceID: in.Command.InstanceID}, 0), nil
	}
	skipped := next.Skipped > d.next.Skipped && action.Kind == schedule.Noted
	d.next = next
	if d.record == nil {
		d.record = []byte{} // the command has to be remembered: drive writes it
	}
	if err := t.drive(ctx, at, part, action); err != nil {
		return decide.Decision{}, err
	}
	if skipped {
		return decide.Answer(in, nil, events.OutcomeIgnored, CodeOverlap, "an instance of the schedule has not ended, and the overlap policy is "+string(request.Overlap)), nil
	}
	return decide.Decision{}, nil
}

// knownSchedule finds a schedule, and looks for one that was made a moment ago.
// It is nil when there is none.
func (t *transaction) knownSchedule(ctx context.Context, p shard.Partition, id string) (*agendaPart, error) {
	for again := false; ; again = true {
		part, err := t.agenda(p)
		if err != nil {
			return nil, err
		}
		if part != nil && part.byID[id] != nil {
			return part, nil
		}
		if again {
			return nil, nil //nolint:nilnil // none is an answer
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = t.lane.agenda.specs.Sync(ctx)
		cancel()
		if err != nil {
			return nil, err
		}
	}
}

// finishSchedules adds the records of the progress that changed.
func (t *transaction) finishSchedules() {
	add := func(at scheduleAt, value []byte) {
		key := []byte(events.ScheduleProgressPrefix + at.id)
		t.records = append(t.records, kafka.NewRecordAt(t.stateTopic(at.partition), at.partition.Partition, key, value))
	}
	for at, d := range t.driven {
		if d.record != nil {
			add(at, d.record)
		}
	}
	for _, at := range t.orphans {
		add(at, nil)
	}
}

// applySchedules writes what was committed into the book.
func (t *transaction) applySchedules(batch *store.Batch) {
	for at, d := range t.driven {
		if d.record != nil {
			t.lane.book.putProgress(batch, at.partition, at.id, d.record)
		}
	}
	for _, at := range t.orphans {
		t.lane.book.putProgress(batch, at.partition, at.id, nil)
	}
}

// settleSchedules brings the agenda up to what the transaction has decided. A
// transaction that changed nothing is settled too: its schedules wait for longer.
func (t *transaction) settleSchedules() {
	moved := make(map[shard.Partition]*agendaPart)
	for at, d := range t.driven {
		part := t.lane.agenda.of(at.partition)
		planned := part.byID[at.id]
		if planned == nil {
			continue // deleted meanwhile
		}
		if planned.progress = d.next; planned.schedule == d.schedule {
			planned.wake = d.wake
		} // a schedule that came in meanwhile wakes at once, as refresh has it
		moved[at.partition] = part
	}
	for _, at := range t.orphans {
		part := t.lane.agenda.of(at.partition)
		part.orphans = nil
		moved[at.partition] = part
	}
	for p, part := range moved {
		t.lane.agenda.put(p, part)
	}
}
