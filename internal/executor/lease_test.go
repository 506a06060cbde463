package executor

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// lender makes an executor that lends queue pay.
func (b *bench) lender(c Config, ahead int) *Executor {
	b.t.Helper()
	c.Kafka, c.Names = b.config, b.names
	c.Logger = slog.New(slog.NewTextHandler(b.t.Output(), nil))
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 10 * time.Millisecond
	}
	e, err := New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := e.Lend("pay", ahead); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// take borrows one task.
func (b *bench) take(e *Executor) *Lease {
	b.t.Helper()
	leases := e.Take(b.t.Context(), 1, 1<<20, 20*time.Second)
	if len(leases) != 1 {
		b.t.Fatalf("got %d leases", len(leases))
	}
	return leases[0]
}

// eventually waits until ok, which is called with the executor's lock held.
func (b *bench) eventually(e *Executor, what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		e.mu.Lock()
		good := ok()
		e.mu.Unlock()
		if good {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal("not in time: " + what)
		}
		kafka.Pause(b.t.Context(), time.Millisecond)
	}
}

func atMostOnce(t *events.Task) { t.Delivery = events.AtMostOnce }

// Nothing is begun, and next to nothing is read, before somebody asks.
func TestNothingBeginsForNobody(t *testing.T) {
	b := newBench(t, 1)
	for range 100 {
		b.issue(b.task("pay.charge", nil))
	}
	const ahead = 5
	e := b.lender(Config{ClaimAfter: time.Millisecond}, ahead)
	stop := b.start(e)
	b.eventually(e, "some are read ahead", func() bool { return len(e.intakes) == 1 && e.intakes[0].queued >= ahead })
	if leases := e.Take(t.Context(), 3, 1<<20, 20*time.Second); len(leases) != 3 {
		t.Fatalf("got %d leases", len(leases))
	}
	b.until("claims", atLeast(events.CommandClaim, 3))
	if leases := e.Take(t.Context(), 1, 1<<20, 0); len(leases) > 1 {
		t.Errorf("got %d leases", len(leases))
	}
	e.mu.Lock()
	if queued := e.intakes[0].queued; queued > 2*ahead {
		t.Errorf("%d tasks were read ahead, want %d", queued, ahead)
	}
	e.mu.Unlock()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := b.until("claims", atLeast(events.CommandClaim, 3)); count(got, events.CommandClaim) > 4 {
		t.Errorf("tasks that nobody asked for were claimed: %v", kinds(got))
	}
}

// What nobody has asked for is there for the next executor.
func TestTasksThatWereReadGoBack(t *testing.T) {
	b := newBench(t, 1)
	first := b.lender(Config{}, 10)
	stop := b.start(first)
	b.issue(b.task("pay.charge", nil), b.task("pay.charge", nil))
	b.eventually(first, "both are read", func() bool { return len(first.intakes) == 1 && first.intakes[0].queued == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	second := b.lender(Config{}, 10)
	b.start(second)
	for _, want := range []string{"1", "2"} {
		l := b.take(second)
		if l.Task().InstanceKey != want {
			t.Errorf("got %s, want %s", l.Task().InstanceKey, want)
		}
		if err := l.Complete(nil); err != nil {
			t.Fatal(err)
		}
		<-l.Reported()
		if err := l.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// The offset cannot move past an urgent task without those that it has overtaken:
// they are claimed, and run elsewhere at once.
func TestWhatAnUrgentTaskHasOvertakenIsReported(t *testing.T) {
	b := newBench(t, 1)
	plain := b.task("pay.charge", nil)
	urgent := b.task("pay.charge", func(t *events.Task) { t.Priority = events.PriorityCritical })
	b.issue(plain, urgent)
	e := b.lender(Config{}, 10)
	stop := b.start(e)
	b.eventually(e, "both are read", func() bool { return len(e.intakes) == 1 && e.intakes[0].queued == 2 })
	l := b.take(e)
	if l.Task().TaskID != urgent.TaskID {
		t.Fatal("the urgent task is not first")
	}
	if err := l.Complete(json.RawMessage("1")); err != nil {
		t.Fatal(err)
	}
	<-l.Reported()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	last := b.until("results", atLeast(events.CommandResult, 2))
	if c := last[len(last)-1]; c.Result.TaskID != plain.TaskID || c.Result.Error == nil || c.Result.Error.Code != CodeDrained {
		t.Errorf("got %v", kinds(last))
	}
}

// A task that was given back and is claimed is free again as soon as the router
// knows, also one that must not run twice: nobody has begun it.
func TestAClaimedTaskIsGivenBack(t *testing.T) {
	b := newBench(t, 1)
	e := b.lender(Config{ClaimAfter: time.Millisecond}, 10)
	b.start(e)
	b.issue(b.task("pay.charge", nil), b.task("pay.charge", atMostOnce))
	for n := 1; n <= 2; n++ {
		l := b.take(e)
		b.until("claim", atLeast(events.CommandClaim, n))
		b.eventually(e, "the claim is durable", func() bool { return l.job.claimDurable })
		l.GiveBack()
		got := b.until("result", atLeast(events.CommandResult, n))
		if f := got[len(got)-1].Result.Error; f == nil || f.Code != CodeDrained || !f.Retryable {
			t.Errorf("got %+v", f)
		}
		if err := l.Complete(nil); !errors.Is(err, ErrReturned) {
			t.Errorf("got %v", err)
		}
	}
}

// An attempt that takes too long is reported as that of a handler is.
func TestALeaseEndsWithItsAttempt(t *testing.T) {
	b := newBench(t, 1)
	e := b.lender(Config{}, 10)
	b.start(e)
	b.issue(b.task("pay.charge", func(t *events.Task) { t.Timeouts.StartToClose = 20 * time.Millisecond }))
	l := b.take(e)
	<-l.Over()
	if err := l.Heartbeat(nil); !errors.Is(err, ErrOverdue) {
		t.Errorf("got %v", err)
	}
	if got := b.until("result", atLeast(events.CommandResult, 1)); got[len(got)-1].Result.Error.Code != CodeTimeout {
		t.Errorf("got %+v", got[len(got)-1].Result.Error)
	}
}

// Who stops asking while a task is on its way does not take it along.
func TestATakerWhoGoes(t *testing.T) {
	b := newBench(t, 1)
	e := b.lender(Config{}, 10)
	b.start(e)
	for range 20 {
		b.issue(b.task("pay.charge", nil))
		ctx, leave := context.WithCancel(t.Context())
		taken := make(chan []*Lease, 1)
		go func() { taken <- e.Take(ctx, 1, 1, 20*time.Second) }()
		leave()
		for _, l := range <-taken {
			l.GiveBack()
		}
		if err := b.take(e).Complete(nil); err != nil {
			t.Fatal(err)
		}
	}
	got := b.until("results", atLeast(events.CommandResult, 20))
	if n := count(got, events.CommandResult); n != 20 {
		t.Errorf("%d results", n)
	}
}
