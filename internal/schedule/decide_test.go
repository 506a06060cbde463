package schedule

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/pkg/events"
)

// model drives a schedule the way a router does, and remembers what came of it.
type model struct {
	s       *Schedule
	p       Progress
	now     time.Time
	starts  []time.Time
	running map[events.UUID]bool
}

// drive lets the schedule decide until it is idle, through the bytes of its
// record: what a restart has to go on from.
func (m *model) drive(t rapid.TB) {
	m.p = Ended(m.p, func(id events.UUID) bool { return !m.running[id] })
	for range 100_000 {
		next, action := m.s.Decide(m.p, m.now)
		m.p = next
		switch action.Kind {
		case Idle:
			m.restart(t)
			return
		case Start:
			m.start(t, action.Due)
		case Interrupt:
			for _, id := range action.Instances {
				delete(m.running, id)
			}
			m.p = Ended(m.p, func(id events.UUID) bool { return !m.running[id] })
		default:
		}
	}
	t.Fatal("the schedule never is idle")
}

func (m *model) start(t rapid.TB, due time.Time) {
	t.Helper()
	if due.After(m.now) || m.s.FireAt(due).After(m.now) && !m.s.Paused {
		t.Fatalf("due %v starts early, at %v", due, m.now)
	}
	id := m.s.Start(due, 8).InstanceID
	m.starts = append(m.starts, due)
	m.running[id] = true
	m.p = Started(m.p, events.ScheduledStart{Due: due, StartedAt: m.now, InstanceID: id}, true)
}

func (m *model) restart(t rapid.TB) {
	t.Helper()
	m.p.ScheduleID, m.p.UpdatedAt = m.s.ScheduleID, m.now
	b, err := avro.EncodeProgress(&m.p)
	if err != nil {
		t.Fatal(err)
	}
	if m.p, err = avro.DecodeProgress(b); err != nil {
		t.Fatal(err)
	}
}

// Whenever the router looks, whatever it was away for, and whenever instances
// end: no due starts early or twice or out of order, and each is accounted for.
func TestEveryDueIsDecidedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom(events.OverlapPolicies()).Draw(t, "policy")
		jitter := rapid.SampledFrom([]time.Duration{0, time.Minute, 3 * time.Hour}).Draw(t, "jitter")
		catchup := rapid.SampledFrom([]time.Duration{0, time.Hour, 5 * time.Hour}).Draw(t, "catchup")
		begin := instant(t, "2026-03-28T12:00:00Z")
		m := &model{running: make(map[events.UUID]bool), now: begin, s: must(t, base(func(r *events.ScheduleRecord) {
			r.Cron, r.TimeZone = []string{cronText(t)}, "Europe/Berlin"
			r.Overlap, r.Jitter, r.Catchup, r.Since = policy, jitter, catchup, begin
		}))}
		for range rapid.IntRange(1, 12).Draw(t, "looks") {
			m.now = m.now.Add(time.Duration(rapid.Int64Range(1, int64(8*time.Hour)).Draw(t, "later")))
			for id := range m.running {
				if rapid.Bool().Draw(t, "ends") {
					delete(m.running, id)
				}
			}
			m.drive(t)
			if wake := m.s.Wake(m.p); !wake.IsZero() && !wake.After(m.now) {
				t.Fatalf("idle at %v and wants to wake at %v", m.now, wake)
			}
			if policy != events.OverlapAllowAll && len(m.p.Running) > 1 {
				t.Fatalf("%d instances are at work under %s", len(m.p.Running), policy)
			}
		}
		var dues []time.Time
		full := policy == events.OverlapBufferAll && len(m.p.Buffered) >= events.MaxScheduleBuffer
		for due, some := m.s.Next(begin); some && !m.s.FireAt(due).After(m.now); due, some = m.s.Next(due) {
			if full && due.After(m.p.Cursor) {
				break // what is behind a full buffer is not decided yet
			}
			dues = append(dues, due)
		}
		decided := int64(len(m.starts)+len(m.p.Buffered)) + m.p.Skipped + m.p.Missed
		if decided != int64(len(dues)) || m.p.Started != int64(len(m.starts)) {
			t.Fatalf("%d dues and %d decided: %+v", len(dues), decided, m.p)
		}
		for i, due := range m.starts {
			if !slices.ContainsFunc(dues, due.Equal) || i > 0 && !due.After(m.starts[i-1]) {
				t.Fatalf("started %v, of %v", m.starts, dues)
			}
		}
		if catchup == 0 && (policy == events.OverlapAllowAll || policy == events.OverlapBufferAll) && m.p.Skipped+m.p.Missed > 0 {
			t.Fatalf("%s leaves dues out: %+v", policy, m.p)
		}
	})
}

// A due has one instance, in the partition of its schedule, whoever asks.
func TestStartIsIdempotentByScheduleAndDue(t *testing.T) {
	s := must(t, base(func(r *events.ScheduleRecord) {
		r.Every, r.Input = time.Hour, []byte(`{"a":"{schedule} {due} {date}"}`)
	}))
	due := instant(t, "2026-11-24T23:30:00Z")
	one, other := s.Start(due, 32), s.Start(due, 32)
	if one.CommandID != other.CommandID || one.InstanceID != other.InstanceID || one.InstanceID != events.InstanceIDForKey("report", one.Key) {
		t.Errorf("%+v and %+v", one, other)
	}
	if want := `{"a":"s 2026-11-24T23:30:00Z 2026-11-24"}`; string(one.Payload) != want {
		t.Errorf("input %s, want %s", one.Payload, want)
	}
	if err := one.Validate(); err != nil {
		t.Error(err)
	}
}

func TestBackfillAndTriggerWhilePaused(t *testing.T) {
	m := &model{running: make(map[events.UUID]bool), now: instant(t, "2026-11-24T12:00:00Z"), s: must(t, base(func(r *events.ScheduleRecord) {
		r.Every, r.Overlap, r.Paused = time.Hour, events.OverlapSkip, true
	}))}
	m.drive(t)
	c := events.Command{Event: events.ScheduleBackfill, CommandID: events.ScheduleInstanceID("c")}
	r := events.ScheduleRequest{From: instant(t, "2026-11-24T03:00:00Z"), To: instant(t, "2026-11-24T05:59:00Z"), Overlap: events.OverlapBufferAll}
	for range 2 { // the second is known
		m.p, _, _, _ = Ask(m.p, &c, r, m.now)
	}
	for range 4 { // one after the other
		m.drive(t)
		if len(m.p.Running) > 1 {
			t.Errorf("%d at work", len(m.p.Running))
		}
		clear(m.running)
	}
	var got []string
	for _, due := range m.starts {
		got = append(got, due.Format("15:04"))
	}
	if want := []string{"03:00", "04:00", "05:00"}; !slices.Equal(got, want) || len(m.p.Backfills) != 0 {
		t.Errorf("started %v, want %v; %+v", got, want, m.p)
	}
	r.To = m.now.Add(time.Hour)
	c.CommandID = events.ScheduleInstanceID("d")
	if _, _, _, err := Ask(m.p, &c, r, m.now); err == nil {
		t.Error("a backfill of the future is taken")
	}
}
