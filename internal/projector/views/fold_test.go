package views

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// world is what routers wrote, and what the views have to say of it.
type world struct {
	logs      map[string]*logtest.Log // by topic and partition
	snapshots map[Name]*events.Snapshot
	heads     map[Name]int64
	forgotten map[Name]bool
	created   int
}

func (w *world) log(topic string, id events.UUID) *logtest.Log {
	partition := int32(id[0] % 2)
	key := fmt.Sprint(topic, "/", partition)
	if w.logs[key] == nil {
		w.logs[key] = &logtest.Log{Topic: topic, Partition: partition}
	}
	return w.logs[key]
}

// drawWorld lets a handful of instances live.
func drawWorld(t *rapid.T) *world {
	w := &world{logs: map[string]*logtest.Log{}, snapshots: map[Name]*events.Snapshot{}, heads: map[Name]int64{}, forgotten: map[Name]bool{}}
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		of := Name{rapid.SampledFrom([]string{"order", "quake"}).Draw(t, "type"), logtest.ID(rapid.IntRange(0, 5).Draw(t, "instance"))}
		state, history := w.log(logtest.Names.State(of.Type), of.ID), w.log(logtest.Names.Events(of.Type), of.ID)
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0:
			state.Append(events.CheckpointKey, []byte("whatever"))
		case 1:
			state.Append(of.ID.String(), []byte("not a record"))
			history.Append(of.ID.String(), nil)
		case 2: // deleted
			if !w.forgotten[of] {
				state.Append(of.ID.String(), nil)
				delete(w.snapshots, of)
			}
		case 4: // forgotten: nothing follows
			if w.heads[of] > 0 && !w.forgotten[of] {
				state.Snapshot(logtest.Snapshot(of.Type, of.ID, w.heads[of], func(s *events.Snapshot) {
					s.State, s.Chart, s.ForgottenAt = events.WorkflowCompleted, events.Chart{}, logtest.Began
				}))
				delete(w.snapshots, of)
				w.forgotten[of] = true
			}
		case 3: // written again at the same sequence, as a heartbeat does
			if old := w.snapshots[of]; old != nil {
				again := *old
				again.Chart.Active = drawStates(t)
				state.Snapshot(&again)
				w.snapshots[of] = &again
			}
		default:
			if !w.forgotten[of] {
				w.step(t, of, state, history)
			}
		}
	}
	return w
}

func (w *world) step(t *rapid.T, of Name, state, history *logtest.Log) {
	for range rapid.IntRange(1, 3).Draw(t, "events") {
		w.heads[of]++
		history.Event(logtest.Event(of.Type, of.ID, w.heads[of]))
	}
	s := logtest.Snapshot(of.Type, of.ID, w.heads[of], func(s *events.Snapshot) {
		s.State = rapid.SampledFrom(events.WorkflowStates()).Draw(t, "state")
		s.Chart.Active = drawStates(t)
		w.created++
		s.CreatedAt = logtest.Began.Add(time.Duration(w.created%7) * time.Minute)
		s.Key = rapid.SampledFrom([]string{"", "a", "ab", "b\x00c", "b"}).Draw(t, "key")
		if old := w.snapshots[of]; old != nil {
			s.Key, s.CreatedAt = old.Key, old.CreatedAt
		}
		s.Search = []string{"n", "s", "l", "b", "absent"}
		s.Chart.Data = drawData(t)
	})
	state.Snapshot(s)
	w.snapshots[of] = s
}

func drawData(t *rapid.T) map[string]events.ContextValue {
	long := strings.Repeat("long", maxIndexed/4)
	return map[string]events.ContextValue{
		"n": rapid.SampledFrom([]events.ContextValue{
			events.Long(-3), events.Long(0), events.Long(2), events.Double(-0.5), events.Double(2), events.Double(2.5), events.Long(1 << 60), events.Long(1<<60 + 1),
		}).Draw(t, "n"),
		"s": events.String(rapid.SampledFrom([]string{"", "a", "ab", "b\x00", "b", long + "1", long + "2"}).Draw(t, "s")),
		"l": events.Strings(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "abc", "b", long + "1", long + "2"}), 0, 3).Draw(t, "l")),
		"b": events.Boolean(rapid.Bool().Draw(t, "b")),
	}
}

// conditionsOfTests read conditions without a definition.
func conditionsOfTests(texts ...string) (list []Where) {
	kinds := map[string]events.Kind{"n": events.KindDouble, "s": events.KindString, "l": events.KindStrings, "b": events.KindBoolean, "absent": events.KindLong}
	for _, text := range texts {
		c := logtest.Must(events.ParseCondition(text))
		if err := c.Check(kinds[c.Name]); err != nil {
			panic(err)
		}
		list = append(list, Where{Condition: c, Kind: kinds[c.Name]})
	}
	return list
}

func drawStates(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"open", "paid", "filed", ""}), 0, 3).Draw(t, "active")
}

// records interleaves the logs, each in its own order.
func (w *world) records(t *rapid.T, label string) (all []*kafka.Record) {
	rest := make([][]*kafka.Record, 0, len(w.logs))
	for _, key := range slices.Sorted(maps.Keys(w.logs)) {
		if r := w.logs[key].Records; len(r) > 0 {
			rest = append(rest, r)
		}
	}
	for len(rest) > 0 {
		i := rapid.IntRange(0, len(rest)-1).Draw(t, label)
		all = append(all, rest[i][0])
		if rest[i] = rest[i][1:]; len(rest[i]) == 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return all
}

// compacted leaves out what a cleaner may remove from the state topics.
func compacted(records []*kafka.Record) (kept []*kafka.Record) {
	newest := make(map[string]int)
	for i, r := range records {
		newest[r.Topic+"/"+string(r.Key)] = i
	}
	for i, r := range records {
		if sourceOfTest(r.Topic, "order", "quake").State && newest[r.Topic+"/"+string(r.Key)] != i {
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// Folding is a function of the log: neither batches, nor the order among
// partitions, nor replays, nor restarts leave a trace.
func TestViewsAreAFunctionOfTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		once := open(rt)
		defer closing(rt, once)
		records := w.records(rt, "order")
		foldAll(t, once, records)
		want := contentOf(t, once)

		split := open(rt)
		defer closing(rt, split)
		foldAll(t, split, w.records(rt, "other order"), rapid.SliceOfN(rapid.IntRange(1, 9), 1, 5).Draw(rt, "sizes")...)
		if got := contentOf(t, split); got != want {
			rt.Fatalf("another split gives other views:\n got %s\nwant %s", got, want)
		}
		w.check(rt, split)

		foldAll(t, split, records[rapid.IntRange(0, len(records)).Draw(rt, "replay from"):], 3)
		if got := contentOf(t, split); got != want {
			rt.Fatalf("a replay changes the views:\n got %s\nwant %s", got, want)
		}
	})
}

// A rebuild reads what compaction has left.
func TestRebuildFromCompactedTopicsGivesTheSameViews(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		records := w.records(rt, "order")
		if undecodableLast(records) {
			rt.Skip("compaction removed a snapshot in favour of garbage with its key")
		}
		live, rebuilt := open(rt), open(rt)
		defer closing(rt, live)
		defer closing(rt, rebuilt)
		foldAll(t, live, records, 4)
		foldAll(t, rebuilt, compacted(records))
		if got, want := contentOf(t, rebuilt), contentOf(t, live); got != want {
			rt.Fatalf("a rebuild gives other views:\n got %s\nwant %s", got, want)
		}
	})
}

func undecodableLast(records []*kafka.Record) bool {
	last := make(map[string]*kafka.Record)
	for _, r := range records {
		last[r.Topic+"/"+string(r.Key)] = r
	}
	for _, r := range last {
		if string(r.Value) == "not a record" {
			return true
		}
	}
	return false
}

// check compares every view with what the world says.
func (w *world) check(t *rapid.T, db *store.DB) {
	for _, workflowType := range []string{"order", "quake"} {
		want := Counts{Workflow: map[events.WorkflowState]int64{}, State: map[string]int64{}}
		for of, s := range w.snapshots {
			if of.Type != workflowType {
				continue
			}
			want.Instances++
			want.Workflow[s.State]++
			c := cardOf(s, 0, 0)
			for _, state := range c.states {
				want.State[state]++
			}
			w.checkInstance(t, db, of, s)
		}
		for of, head := range w.heads {
			if of.Type != workflowType {
				continue
			}
			if w.forgotten[of] {
				head = 0
			}
			want.Events += head
			facts := logtest.Must(HistoryOf(db, workflowType, of.ID, 1, 1000))
			if int64(len(facts)) != head || logtest.Must(HeadOf(db, workflowType, of.ID)) != head {
				t.Fatalf("history of %v has %d events, want %d", of, len(facts), head)
			}
			for i, fact := range facts {
				if fact.SequenceNumber != int64(i+1) {
					t.Fatalf("history of %v has a gap at %d", of, i)
				}
			}
		}
		if diff := cmp.Diff(want, logtest.Must(CountsOf(db, workflowType))); diff != "" {
			t.Fatalf("counts of %s (-recount +stored):\n%s", workflowType, diff)
		}
		w.checkLists(t, db, workflowType)
	}
}

func (w *world) checkInstance(t *rapid.T, db *store.DB, of Name, want *events.Snapshot) {
	i := logtest.Must(Get(db, of.Type, of.ID))
	if i == nil {
		t.Fatalf("%v is not there", of)
	}
	if diff := cmp.Diff(want, logtest.Must(i.Snapshot()), cmpopts.EquateEmpty()); diff != "" || i.Sequence != want.SequenceNumber {
		t.Fatalf("%v (-want +got):\n%s", of, diff)
	}
	if want.Key == "" {
		return
	}
	if _, byKey := must2(ByKey(db, of.Type, want.Key)); byKey == nil || byKey.key != want.Key {
		t.Fatalf("no instance for key %q", want.Key)
	}
}

// checkLists reads every list page by page.
func (w *world) checkLists(t *rapid.T, db *store.DB, workflowType string) {
	long := strings.Repeat("long", maxIndexed/4)
	for _, f := range []Filter{
		{},
		{Oldest: true},
		{Workflow: events.WorkflowRunning},
		{State: "paid"},
		{KeyPrefix: "a"},
		{KeyPrefix: "b\x00"},
		{State: "open", Workflow: events.WorkflowFailed},
		{KeyPrefix: "a", State: "open"},
		{Where: conditionsOfTests("n = 2")},
		{Where: conditionsOfTests("n = 1152921504606846976"), Oldest: true},
		{Where: conditionsOfTests("n > -1")},
		{Where: conditionsOfTests("n >= 0", "n < 2.5"), State: "open"},
		{Where: conditionsOfTests("n <= 0")},
		{Where: conditionsOfTests("s = ab")},
		{Where: conditionsOfTests("s = " + long + "1")},
		{Where: conditionsOfTests("s ^= a")},
		{Where: conditionsOfTests("s ^= ''")},
		{Where: conditionsOfTests("s > a"), KeyPrefix: "a"},
		{Where: conditionsOfTests("l = ab")},
		{Where: conditionsOfTests("l = " + long + "2")},
		{Where: conditionsOfTests("l ^= a"), Workflow: events.WorkflowRunning},
		{Where: conditionsOfTests("l <= ab", "b = true")},
		{Where: conditionsOfTests("absent = 1")},
	} {
		inOrder := f.KeyPrefix == "" && (len(f.Where) == 0 || f.Where[0].Op == events.Equals && len(f.Where[0].Value) <= maxIndexed)
		f.Type, f.Limit = workflowType, 2
		var want, got []string
		for of, s := range w.snapshots {
			c := cardOf(s, 0, 0)
			if of.Type == workflowType && f.matches(&c) {
				want = append(want, of.ID.String())
			}
		}
		var previous *Instance
		for {
			page, next := must2(List(db, f))
			for _, i := range page {
				s := logtest.Must(i.Snapshot())
				got = append(got, s.InstanceID.String())
				if previous != nil && inOrder && previous.created.Before(i.created) != f.Oldest && !previous.created.Equal(i.created) {
					t.Fatalf("list %+v is out of order", f)
				}
				previous = i
			}
			if f.Cursor = next; next == "" {
				break
			}
		}
		if len(f.Where) > 0 && f.KeyPrefix == "" && f.State == "" && f.Workflow == "" {
			if n, partial, err := CountWhere(db, workflowType, f.Where, MaxCounted); err != nil || partial || n.Instances != int64(len(want)) {
				t.Fatalf("count %+v gives %+v, want %d: %v", f.Where, n, len(want), err)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("list %+v (-want +got):\n%s", f, diff)
		}
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func open(t *rapid.T) *store.DB {
	db, err := store.Open(store.Options{Layout: Layout})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func closing(t *rapid.T, db *store.DB) {
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUpdates(t *testing.T) {
	id := logtest.ID(1)
	key := id.String()
	state := func(steps ...func(*logtest.Log)) []*kafka.Record {
		l := &logtest.Log{Topic: logtest.Names.State("order")}
		for _, step := range steps {
			step(l)
		}
		return l.Records
	}
	at := func(sequence int64, active string) func(*logtest.Log) {
		return func(l *logtest.Log) {
			l.Snapshot(logtest.Snapshot("order", id, sequence, func(s *events.Snapshot) { s.Chart.Active = []string{active} }))
		}
	}
	gone := func(l *logtest.Log) { l.Append(key, nil) }
	for _, tt := range []struct {
		name    string
		records []*kafka.Record
		active  string // "" for no instance
	}{
		{"newer replaces older", state(at(1, "open"), at(2, "paid")), "paid"},
		{"older after newer is stale", state(at(2, "paid"), at(1, "open")), "paid"},
		{"later record at the same sequence counts", state(at(2, "paid"), at(2, "filed")), "filed"},
		{"tombstone removes", state(at(2, "paid"), gone), ""},
		{"tombstone of nothing", state(gone), ""},
		{"life after a tombstone", state(at(5, "paid"), gone, at(1, "open")), "open"},
	} {
		for _, size := range []int{1, 100} {
			t.Run(fmt.Sprint(tt.name, "/", size), func(t *testing.T) {
				db := memory(t)
				foldAll(t, db, tt.records, size)
				foldAll(t, db, tt.records[len(tt.records)-1:], size) // again
				i := logtest.Must(Get(db, "order", id))
				if tt.active == "" {
					if i != nil || contentOf(t, db) != contentOf(t, memory(t)) {
						t.Fatal("something is left")
					}
					return
				}
				if i == nil || !i.active(tt.active) {
					t.Fatalf("got %+v, want state %q", i, tt.active)
				}
				if want := map[string]int64{tt.active: 1}; !maps.Equal(want, logtest.Must(CountsOf(db, "order")).State) {
					t.Fatalf("counts are %v", logtest.Must(CountsOf(db, "order")))
				}
			})
		}
	}
}
