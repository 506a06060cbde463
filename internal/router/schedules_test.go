package router_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/events"
)

// instant is a definition whose instances end at once; job waits for `done`.
const (
	atOnce = "leat: v1\ntype: order\nversion: 1\ninitial: end\nstates: {end: {type: final}}\n"
	job    = "leat: v1\ntype: order\nversion: 1\ninitial: work\nstates: {work: {on: {done: end}}, end: {type: final}}\n"
)

// handClock is a clock that the test sets; time goes on by itself from there, so
// that a router which waits for an instant gets there.
type handClock struct{ ahead atomic.Int64 }

func (c *handClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *handClock) set(at time.Time) { c.ahead.Store(int64(time.Until(at))) }

// nine is when the tests of this file begin.
var nine = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// everyHour is a schedule of the tests, from nine on.
func everyHour(change func(*events.ScheduleRecord)) events.ScheduleRecord {
	r := events.ScheduleRecord{
		ScheduleID: "nightly", WorkflowType: "order", Cron: []string{"30 * * * *"}, Overlap: events.OverlapAllowAll,
		Since: nine, CreatedAt: nine, UpdatedAt: nine, Input: []byte(`{"for": "{due}"}`),
	}
	if change != nil {
		change(&r)
	}
	return r
}

func (w *world) schedule(r events.ScheduleRecord) {
	w.t.Helper()
	value, err := avro.EncodeSchedule(&r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(kafka.NewRecord(w.names.Schedules(), []byte(r.ScheduleID), value))
}

// ask sends a signal to the schedule.
func (w *world) ask(event string, id events.UUID, payload string) {
	w.t.Helper()
	to := events.ScheduleInstanceID("nightly").String()
	w.say(to, `{"command":"signal","type":"order","command_id":%q,"instance_id":%q,"event":%q,"data":%s}`, id, to, event, payload)
}

// at starts a router whose clock shows at.
func (w *world) at(slot string, clock *handClock, at time.Time) (stop func()) {
	w.t.Helper()
	clock.set(at)
	return w.routerWith(slot, func(c *router.Config) { c.Clock = clock.now })
}

// started lists the dues of the first n instances in the order of their
// partition's log, and checks that each is there once and was not early.
func (w *world) started(perInstance, n int) (dues []string) {
	w.t.Helper()
	for _, r := range w.read(w.names.Events("order"), perInstance*n) {
		e, err := avro.DecodeEvent(r.Value)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.EventType != events.EventWorkflowCreated {
			continue
		}
		key := e.Data["key"].Str()
		due, found := strings.CutPrefix(key, "nightly/")
		if !found {
			w.t.Fatalf("key %q", key)
		}
		due, _, _ = strings.Cut(due, ".") // the number that leads into the partition
		at, err := time.Parse(time.RFC3339, due)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Timestamp.Before(at) {
			w.t.Errorf("%s started at %v: early", due, e.Timestamp)
		}
		if want := fmt.Sprintf(`{"for": %q}`, due); string(e.Payload) != want {
			w.t.Errorf("input %s, want %s", e.Payload, want)
		}
		dues = append(dues, at.Format("15:04"))
	}
	return dues
}

// progress waits until the schedule stands as is wanted.
func (w *world) progress(what string, want func(*events.ScheduleProgress) bool) events.ScheduleProgress {
	w.t.Helper()
	var newest events.ScheduleProgress
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		w.readAll(w.names.State("order"), func(r *kafka.Record) {
			if string(r.Key) != events.ScheduleProgressPrefix+"nightly" {
				return
			}
			newest = events.ScheduleProgress{}
			if r.Value == nil {
				return
			}
			var err error
			if newest, err = avro.DecodeProgress(r.Value); err != nil {
				w.t.Fatal(err)
			}
		})
		if want(&newest) {
			return newest
		}
		kafka.Pause(w.t.Context(), 20*time.Millisecond)
	}
	w.t.Fatalf("%s: the schedule stands at %+v", what, newest)
	return newest
}

func (w *world) readAll(topic string, visit func(*kafka.Record)) {
	w.t.Helper()
	reader, err := kafka.NewReader(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.ReadAll(w.t.Context(), topic, func(r *kafka.Record) error { visit(r); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A router that was away takes up what it missed, once, and in order; another
// one, which has nothing local, does none of it again.
func TestSchedulesFireOnceOverRestarts(t *testing.T) {
	w, clock := newWorld(t, atOnce), new(handClock)
	w.schedule(everyHour(nil))
	stop := w.at("r1", clock, nine.Add(2*time.Hour)) // 09:30 and 10:30 are due
	w.progress("two dues", func(p *events.ScheduleProgress) bool { return p.Started == 2 })
	clock.set(nine.Add(150*time.Minute - 50*time.Millisecond)) // 11:30 is about to be; the router does not know yet
	stop()
	stop = w.at("r2", clock, nine.Add(150*time.Minute-50*time.Millisecond))
	w.progress("the third, by waiting", func(p *events.ScheduleProgress) bool { return p.Started == 3 })
	stop()
	w.at("r1", clock, nine.Add(4*time.Hour))
	p := w.progress("all", func(p *events.ScheduleProgress) bool { return p.Started == 4 })
	equal(t, "instances", w.started(3, 4), "09:30", "10:30", "11:30", "12:30")
	if p.Skipped+p.Missed+p.Refused != 0 || len(p.Running) != 0 || len(p.Recent) != 4 {
		t.Errorf("progress %+v", p)
	}
}

func TestScheduleThatComesWhileTheRouterRuns(t *testing.T) {
	w, clock := newWorld(t, atOnce), new(handClock)
	w.at("r1", clock, nine.Add(30*time.Minute-100*time.Millisecond))
	w.say(events.InstanceIDForKey("order", "k").String(), `{"command":"start","type":"order","key":"k"}`)
	w.history(3) // the router serves
	w.schedule(everyHour(nil))
	w.progress("fires", func(p *events.ScheduleProgress) bool { return p.Started == 1 })
	w.send(kafka.NewRecord(w.names.Schedules(), []byte("nightly"), nil))
	w.progress("is forgotten", func(p *events.ScheduleProgress) bool { return p.ScheduleID == "" })
}

func TestScheduleOverlap(t *testing.T) {
	for _, c := range []struct {
		policy  events.OverlapPolicy
		skipped int64
		waiting int
		then    []string // started, once the first and then every other was done
	}{
		{events.OverlapSkip, 2, 0, []string{"09:30"}},
		{events.OverlapBufferOne, 1, 1, []string{"09:30", "10:30"}},
		{events.OverlapBufferAll, 0, 2, []string{"09:30", "10:30", "11:30"}},
	} {
		t.Run(string(c.policy), func(t *testing.T) {
			w, clock := newWorld(t, job), new(handClock)
			w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Overlap = c.policy }))
			stop := w.at("r1", clock, nine.Add(3*time.Hour))
			p := w.progress("all dues are decided", func(p *events.ScheduleProgress) bool { return p.Cursor.Equal(nine.Add(150 * time.Minute)) })
			if p.Started != 1 || p.Skipped != c.skipped || len(p.Buffered) != c.waiting || len(p.Running) != 1 {
				t.Errorf("progress %+v", p)
			}
			stop() // what waits survives
			w.at("r2", clock, nine.Add(3*time.Hour))
			for n := range c.then {
				p := w.progress("next", func(p *events.ScheduleProgress) bool { return p.Started == int64(n+1) && len(p.Running) == 1 })
				id := p.Running[0].InstanceID.String()
				w.say(id, `{"command":"signal","type":"order","instance_id":%q,"event":"done"}`, id)
			}
			w.progress("all done", func(p *events.ScheduleProgress) bool { return len(p.Running) == 0 && len(p.Buffered) == 0 })
			equal(t, "instances", w.started(4, len(c.then)), c.then...)
		})
	}
}

// The newest due takes the place of the instance that is at work, which ends as
// the policy says; the start follows in the same transaction.
func TestScheduleEndsTheOther(t *testing.T) {
	for policy, state := range map[events.OverlapPolicy]events.WorkflowState{
		events.OverlapCancelOther: events.WorkflowCancelled, events.OverlapTerminateOther: events.WorkflowCancelled,
	} {
		t.Run(string(policy), func(t *testing.T) {
			w, clock := newWorld(t, job), new(handClock)
			w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Overlap = policy }))
			w.at("r1", clock, nine.Add(3*time.Hour))
			p := w.progress("three starts", func(p *events.ScheduleProgress) bool { return p.Started == 3 })
			if len(p.Running) != 1 || len(p.Buffered) != 0 || p.Skipped != 0 || !p.Running[0].Due.Equal(nine.Add(150*time.Minute)) {
				t.Errorf("progress %+v", p)
			}
			states := make(map[events.UUID]events.WorkflowState)
			w.readAll(w.names.State("order"), func(r *kafka.Record) {
				if s, err := avro.DecodeSnapshot(r.Value); err == nil {
					states[s.InstanceID] = s.State
				}
			})
			for _, run := range p.Recent[:2] {
				if states[run.InstanceID] != state {
					t.Errorf("the instance of %v is %s, want %s", run.Due, states[run.InstanceID], state)
				}
			}
		})
	}
}

func TestScheduleCatchupPauseAndRefusal(t *testing.T) {
	w, clock := newWorld(t, atOnce), new(handClock)
	w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Catchup = 100 * time.Minute }))
	w.at("r1", clock, nine.Add(3*time.Hour))
	w.progress("late dues are missed", func(p *events.ScheduleProgress) bool { return p.Missed == 1 && p.Started == 2 })
	equal(t, "instances", w.started(3, 2), "10:30", "11:30")
	w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Paused = true }))
	clock.set(nine.Add(6 * time.Hour))
	w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Since, r.Version = nine.Add(5*time.Hour), 7 })) // resumed, with a fault
	p := w.progress("a refused start", func(p *events.ScheduleProgress) bool { return p.Refused == 1 })
	if p.Started != 2 || p.Missed != 1 || p.Error == nil || p.Error.Code != "UNKNOWN_VERSION" || !p.Cursor.Equal(nine.Add(5*time.Hour+30*time.Minute)) {
		t.Errorf("progress %+v, %+v", p, p.Error)
	}
}

func TestScheduleTriggerAndBackfill(t *testing.T) {
	w, clock := newWorld(t, job), new(handClock)
	w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Overlap, r.Paused = events.OverlapSkip, true }))
	w.at("r1", clock, nine.Add(3*time.Hour))
	trigger, backfill := events.DeriveUUID(events.Namespace, "a"), events.DeriveUUID(events.Namespace, "b")
	w.ask("trigger", trigger, `{"schedule_id":"nightly"}`)
	w.ask("trigger", trigger, `{"schedule_id":"nightly"}`)                                   // duplicate
	w.ask("trigger", events.DeriveUUID(events.Namespace, "c"), `{"schedule_id":"nightly"}`)  // ignored: one is at work
	w.ask("backfill", events.DeriveUUID(events.Namespace, "d"), `{"schedule_id":"nightly"}`) // rejected
	w.ask("explode", events.DeriveUUID(events.Namespace, "e"), `{"schedule_id":"nightly"}`)  // rejected: no instance
	w.ask("backfill", backfill, `{"schedule_id":"nightly","from":"2026-11-24T05:30:00Z","to":"2026-11-24T07:30:00Z","overlap":"allow_all"}`)
	p := w.progress("trigger and backfill", func(p *events.ScheduleProgress) bool { return p.Started == 4 && len(p.Backfills) == 0 })
	if len(p.Running) != 4 || p.Skipped != 1 {
		t.Errorf("progress %+v", p)
	}
	var got []string
	for _, o := range w.outcomes(4) {
		code := ""
		if o.Error != nil {
			code = o.Error.Code
		}
		got = append(got, strings.TrimSpace(string(o.Status)+" "+code))
	}
	equal(t, "outcomes", got, "duplicate", "ignored OVERLAP", "rejected INVALID_INPUT", "rejected NOT_FOUND")
	// The same range again, in another command: the instances are there.
	w.ask("backfill", events.DeriveUUID(events.Namespace, "f"), `{"schedule_id":"nightly","from":"2026-11-24T05:30:00Z","to":"2026-11-24T07:30:00Z","overlap":"allow_all"}`)
	w.ask("trigger", events.DeriveUUID(events.Namespace, "g"), `{"schedule_id":"nightly","overlap":"allow_all"}`)
	p = w.progress("one more", func(p *events.ScheduleProgress) bool { return p.Started == 5 })
	if len(p.Running) != 5 || len(p.Backfills) != 0 {
		t.Errorf("progress %+v", p)
	}
}

// Keys of one's own lead to the partitions that everybody finds them in.
func TestScheduleWithKeys(t *testing.T) {
	w, clock := newWorld(t, atOnce), new(handClock)
	w.schedule(everyHour(func(r *events.ScheduleRecord) { r.Key = "report-{due}" }))
	w.at("r1", clock, nine.Add(4*time.Hour))
	all := w.history(12)
	for _, due := range []string{"09:30", "10:30", "11:30", "12:30"} {
		if id := events.InstanceIDForKey("order", "report-2026-11-24T"+due+":00Z"); len(all[id]) != 3 {
			t.Errorf("%s has %d events", due, len(all[id]))
		}
	}
}
