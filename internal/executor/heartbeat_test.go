package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

func TestHeartbeatsCarryTheNewestDetails(t *testing.T) {
	b := newBench(t, 1)
	next := make(chan struct{})
	e := b.executor(Config{ClaimAfter: time.Millisecond, HeartbeatEvery: time.Minute}, func(ctx context.Context, _ *events.Task) (json.RawMessage, error) {
		for i := range 3 {
			if err := Heartbeat(ctx, fmt.Appendf(nil, `{"page":%d}`, i)); err != nil {
				return nil, err
			}
			<-next
		}
		return nil, RetryAfter(errors.New("the service is busy"), 1500*time.Millisecond)
	})
	stop := b.start(e)
	b.issue(b.task("pay.charge", func(t *events.Task) { t.Timeouts.Heartbeat = 30 * time.Millisecond }))
	told := func(page string) func([]events.Command) bool {
		return func(reports []events.Command) bool {
			for _, c := range reports {
				if c.Command == events.CommandHeartbeat && string(c.Result.HeartbeatDetails) == page {
					return true
				}
			}
			return false
		}
	}
	for _, page := range []string{`{"page":0}`, `{"page":1}`, `{"page":2}`} {
		b.until(page, told(page))
		next <- struct{}{}
	}
	got := b.until("result", atLeast(events.CommandResult, 1))
	r := got[len(got)-1].Result
	if string(r.HeartbeatDetails) != `{"page":2}` || r.RetryAfter != 1500*time.Millisecond || r.Error.Message != "the service is busy" || !r.Error.Retryable {
		t.Fatalf("got %+v %+v", r, r.Error)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	repeated := 0
	for _, c := range got {
		if c.Command == events.CommandHeartbeat && string(c.Result.HeartbeatDetails) == `{"page":0}` {
			repeated++
		}
	}
	if repeated != 1 {
		t.Errorf("what the router knew was sent %d times", repeated)
	}
}

func TestHeartbeatSaysWhatItCannotKeep(t *testing.T) {
	task := &events.Task{TaskName: "pay.charge"}
	ctx, cancel := context.WithCancelCause(WithTask(t.Context(), task))
	for details, want := range map[string]string{
		`{"n":1}`: "",
		`{"n":`:   `heartbeat of pay.charge: the details are not JSON: {"n":`,
		`"` + strings.Repeat("x", MaxDetails) + `"`: "heartbeat of pay.charge: the details are 65538 bytes of JSON, at most 65536 (64 KiB): keep what is large elsewhere",
	} {
		if err := Heartbeat(ctx, json.RawMessage(details)); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.20s: %v", details, err)
		}
	}
	if err := Heartbeat(t.Context(), nil); !errors.Is(err, ErrNoTask) {
		t.Error(err)
	}
	cancel(errDrained)
	if err := Heartbeat(ctx, nil); !errors.Is(err, errDrained) {
		t.Error(err)
	}
	if TaskFrom(ctx) != task || TaskFrom(t.Context()) != nil {
		t.Error("the context has another task")
	}
}

// lines is a log that many write to.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	some chan struct{} // has an element when something was written
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *lines) until(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		found := strings.Contains(l.text.String(), want)
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-l.some:
		case <-deadline:
			t.Fatalf("the log has no %q:\n%s", want, l.text.String())
		}
	}
}

func TestAHandlerThatBlocksPastItsContextIsNamed(t *testing.T) {
	b := newBench(t, 1)
	let := make(chan struct{})
	log := &lines{some: make(chan struct{}, 1)}
	e := b.executor(Config{
		DrainTimeout: time.Millisecond, stuckAfter: time.Millisecond, lastReports: time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, func(context.Context, *events.Task) (json.RawMessage, error) {
		<-let
		return nil, nil
	})
	stop := b.start(e)
	task := b.task("pay.charge", func(t *events.Task) { t.Timeouts.StartToClose = time.Millisecond })
	b.issue(task)
	log.until(t, "handler still runs after its context has ended")
	err := stop()
	want := "handlers did not return within 1.001s after their context ended: pay.charge (task " + task.TaskID.String() + ", attempt 1)"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	close(let)
	e.attempts.Wait()
}
