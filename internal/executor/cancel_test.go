package executor

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// cancels writes a cancellation as a router does.
func (b *bench) cancel(t *events.Task, change func(*events.Cancellation)) {
	b.t.Helper()
	c := &events.Cancellation{
		TaskID: t.TaskID, Attempt: t.Attempt, WorkflowType: t.WorkflowType, InstanceID: t.InstanceID,
		TokenHash: events.HashToken(t.Token), Code: "CANCELLED", Timestamp: events.Instant(time.Now()),
	}
	if change != nil {
		change(c)
	}
	value, err := avro.EncodeCancellation(c)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.producer.Send(b.t.Context(), kafka.NewRecord(b.names.Cancels(), []byte(t.TaskID.String()), value)); err != nil {
		b.t.Fatal(err)
	}
}

// cancelBench has the topic of cancellations too.
func cancelBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, 1)
	admin, err := kafka.NewAdmin(b.config)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(t.Context(), -1, b.names.Shared()...); err != nil {
		t.Fatal(err)
	}
	return b
}

// A handler whose attempt is over is told within a second, and what it returns is
// not reported. Cancellations of another run, or of another node's, do not touch it.
func TestCancelEndsTheHandler(t *testing.T) {
	b := cancelBench(t)
	began, ended := make(chan *events.Task, 8), make(chan error, 8)
	e := b.executor(Config{ClaimAfter: time.Hour, NodeID: "me"}, func(ctx context.Context, task *events.Task) (json.RawMessage, error) {
		began <- task
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	stop := b.start(e)
	token := func(t *events.Task) { t.Token = "secret" }
	task := b.task("pay.charge", token)
	b.issue(task)
	<-began
	b.cancel(task, func(c *events.Cancellation) { c.TokenHash = events.HashToken("another run") })
	b.cancel(task, func(c *events.Cancellation) { c.NodeID = "another" })
	b.cancel(task, func(c *events.Cancellation) { c.TokenHash = "" }) // any run of the attempt
	told := time.Now()
	if cause := <-ended; cause != ErrCancelled { //nolint:errorlint // the cause itself
		t.Errorf("the handler ended because of %v", cause)
	}
	if took := time.Since(told); took > time.Second {
		t.Errorf("it took %s", took)
	}
	other := b.task("pay.charge", token)
	b.issue(other)
	<-began
	b.cancel(other, func(c *events.Cancellation) { c.TokenHash = events.HashToken("another run") })
	b.cancel(other, func(c *events.Cancellation) { c.NodeID = "another" })
	b.cancel(b.task("pay.charge", token), nil) // of a task that comes later
	late := b.task("pay.charge", token)
	b.cancel(late, nil)
	waitFor(t, "the cancellations to be read", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.cancels.byTask[late.TaskID] != nil
	})
	if len(ended) != 0 {
		t.Error("a cancellation of another run ended it")
	}
	b.issue(late) // it is over before it is read
	b.cancel(other, nil)
	<-ended
	waitFor(t, "the offsets of what is over", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, p := range e.intakes[0].parts {
			return p.committed == 3
		}
		return false
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if len(began) != 0 || len(b.until("reports", func([]events.Command) bool { return true })) != 0 {
		t.Errorf("%d began that were over, and there are reports", len(began))
	}
}

// A lease ends when its attempt is over, and says why; what its borrower reports then
// does not count.
func TestCancelEndsTheLease(t *testing.T) {
	b := cancelBench(t)
	e := b.lender(Config{ClaimAfter: time.Hour}, 1)
	stop := b.start(e)
	b.issue(b.task("pay.charge", func(t *events.Task) { t.Token = "secret" }))
	lease := b.take(e)
	b.cancel(lease.Task(), nil)
	told := time.Now()
	select {
	case <-lease.Over():
	case <-time.After(20 * time.Second):
		t.Fatal("the lease goes on")
	}
	if took := time.Since(told); took > time.Second || !errors.Is(lease.Why(), ErrCancelled) {
		t.Errorf("after %s the lease is over because of %v", took, lease.Why())
	}
	if err := lease.Complete(nil); !errors.Is(err, ErrCancelled) {
		t.Errorf("the borrower hears %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(b.until("reports", func([]events.Command) bool { return true })); n != 0 {
		t.Errorf("%d reports", n)
	}
}

// What is remembered of tasks that were not read yet is bounded.
func TestCancellationsAreForgotten(t *testing.T) {
	var c cancels
	for i := range remembered + 10 {
		c.keep(&events.Cancellation{TaskID: events.DeriveUUID(events.Namespace, time.Duration(i).String())})
	}
	if len(c.byTask) != remembered || len(c.order) != remembered || c.byTask[events.DeriveUUID(events.Namespace, "0s")] != nil {
		t.Errorf("%d are remembered, %d in order", len(c.byTask), len(c.order))
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
		kafka.Pause(ctx, 5*time.Millisecond)
	}
}
