package projector

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/endings"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/pkg/events"
)

// listening is a stream of ends that a test reads.
type listening struct {
	t     *testing.T
	lines chan string
	leave func()
}

func (r *running) listen(workflowType, body string) *listening {
	r.t.Helper()
	return r.listenAt(httptest.NewServer(r.Handler()), workflowType, body)
}

// listenAt listens at a server, which it closes in the end.
func (r *running) listenAt(server *httptest.Server, workflowType, body string) *listening {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/v1/types/"+workflowType+"/ends", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := server.Client().Do(request) //nolint:bodyclose // leave closes it
	if err != nil {
		r.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != streamFormat {
		r.t.Fatalf("%s %s", response.Status, response.Header)
	}
	l := &listening{t: r.t, lines: make(chan string, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(l.lines)
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, ":") {
				l.lines <- line
			}
		}
	}()
	l.leave = func() { cancel(); <-done; _ = response.Body.Close(); server.Close() }
	r.t.Cleanup(l.leave)
	return l
}

// next is the next message.
func (l *listening) next() (kind, data string) {
	l.t.Helper()
	take := func(prefix string) string {
		select {
		case line := <-l.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
			l.t.Fatalf("got %q, want %s", line, prefix)
		case <-time.After(patience):
			l.t.Fatal("nothing comes")
		}
		return ""
	}
	return take("event: "), take("data: ")
}

func (l *listening) end() (e endings.End) {
	l.t.Helper()
	kind, data := l.next()
	if err := json.Unmarshal([]byte(data), &e); err != nil || kind != endings.KindEnd {
		l.t.Fatalf("%s %s: %v", kind, data, err)
	}
	return e
}

func paid(s *events.Snapshot) {
	s.State, s.Output, s.FinishedAt = events.WorkflowCompleted, json.RawMessage(`{"paid":12}`), logtest.Began
}

func outcome(command events.UUID, status events.OutcomeStatus) *kgo.Record {
	return &kgo.Record{Topic: logtest.Names.Outcomes("order"), Key: []byte(command.String()), Value: logtest.Must(avro.EncodeOutcome(&events.Outcome{
		CommandID: command, WorkflowType: "order", InstanceID: logtest.ID(1), Status: status, Timestamp: logtest.Began,
		Error: &events.Error{Code: "NO", Message: "not like this"},
	}))}
}

// Who listens hears of every end, and of every outcome, but of no step in between.
func TestEndsAreTold(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	c.deploy("quake")
	p := c.project("", nil)
	l := p.listen("order", "{}")
	c.commit(true, step("quake", logtest.ID(9), 1, paid)...)
	c.commit(true, step("order", logtest.ID(1), 1, nil)...)
	c.commit(true, step("order", logtest.ID(1), 2, paid)...)
	if e := l.end(); e.InstanceID != logtest.ID(1) || e.State != events.WorkflowCompleted || string(e.Output) != `{"paid":12}` || e.SequenceNumber != 2 {
		t.Fatalf("got %+v", e)
	}
	c.commit(true, outcome(logtest.ID(7), events.OutcomeRejected))
	if kind, data := l.next(); kind != endings.KindOutcome || !strings.Contains(data, logtest.ID(7).String()) || !strings.Contains(data, "not like this") {
		t.Fatalf("%s %s", kind, data)
	}
	l.leave()
	p.until("forgotten", func() bool { return p.feedOf("order") == nil && p.outcomes.Watching() == 0 })
}

// What is asked for is answered first, if it is known: how instances have ended, and
// what was answered to commands.
func TestEndsOfBeforeAreTold(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	c.commit(true, step("order", logtest.ID(1), 1, paid)...)
	c.commit(true, step("order", logtest.ID(2), 1, nil)...)
	c.commit(true, step("order", logtest.ID(3), 1, func(s *events.Snapshot) {
		s.State, s.FinishedAt, s.ForgottenAt = events.WorkflowCompleted, logtest.Began, logtest.Began
	})...)
	c.commit(true, outcome(logtest.ID(7), events.OutcomeRejected), outcome(logtest.ID(8), events.OutcomeRejected))
	p := c.project("", nil)
	l := p.listen("order", fmt.Sprintf(`{"instances":[%q,%q,%q,%q],"commands":[%q],"since":"2026-01-01T00:00:00Z"}`,
		logtest.ID(1), logtest.ID(2), logtest.ID(3), logtest.ID(4), logtest.ID(8)))
	if e := l.end(); e.InstanceID != logtest.ID(1) || e.State != events.WorkflowCompleted {
		t.Fatalf("got %+v", e)
	}
	if e := l.end(); e.InstanceID != logtest.ID(3) || !e.Forgotten {
		t.Fatalf("got %+v", e)
	}
	if kind, data := l.next(); kind != endings.KindOutcome || !strings.Contains(data, logtest.ID(8).String()) {
		t.Fatalf("%s %s", kind, data)
	}
	c.commit(true, step("order", logtest.ID(2), 2, paid)...)
	if e := l.end(); e.InstanceID != logtest.ID(2) {
		t.Fatalf("got %+v", e)
	}
	p.stop()
	if kind, data := l.next(); kind != endings.KindError || !strings.Contains(data, "LEAT-A001") {
		t.Fatalf("%s %s", kind, data)
	}
}

// What cannot be listened to is refused, and who is too slow is dropped.
func TestListenersAreBounded(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	p := c.project("", func(c *Config) { c.MaxFollowers = 1 })
	for _, tt := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/api/v1/types/ordr/ends", "{}", http.StatusNotFound, "There is no workflow type ordr"},
		{"/api/v1/types/order/ends", `{"commands":["` + logtest.ID(1).String() + `"]}`, http.StatusBadRequest, "commands without since"},
		{"/api/v1/types/order/ends", `{"instances":["x"]}`, http.StatusUnprocessableEntity, "is not a UUID"},
	} {
		if w := p.ask("POST", tt.path, tt.body); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.body, w.Code, w.Body)
		}
	}
	l := p.listen("order", "{}")
	if w := p.ask("POST", "/api/v1/types/order/ends", "{}"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "this projector serves 1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var f feed
	for range 2 {
		f.Append(make([]byte, 20<<20)) // more than is held
	}
	w := httptest.NewRecorder()
	slow := listener{
		follower: follower{Projector: p.Projector, writer: w, control: http.NewResponseController(w)}, feed: &f, asked: &endings.Request{},
	}
	var why *Problem
	if err := slow.listen(t.Context()); !errors.As(err, &why) || why.Title != "The stream is too slow" {
		t.Errorf("got %v", err)
	}
	l.leave()
}

// hasty gives a request no longer than limit to be read, whatever the handler allows.
type hasty struct {
	http.ResponseWriter
	limit time.Duration
	asked *atomic.Int32
}

func (h hasty) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h hasty) SetReadDeadline(at time.Time) error {
	h.asked.Add(1)
	if !at.IsZero() {
		at = time.Now().Add(h.limit)
	}
	return http.NewResponseController(h.ResponseWriter).SetReadDeadline(at)
}

// A request has a deadline until which it has to be read; the stream that answers it
// outlasts it.
func TestAStreamOfEndsOutlastsItsRequest(t *testing.T) {
	c := startCluster(t)
	c.deploy("order")
	p := c.project("", nil)
	const limit = 200 * time.Millisecond
	var asked atomic.Int32
	began := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = hasty{w, limit, &asked}
		_ = http.NewResponseController(w).SetReadDeadline(began.Add(time.Minute)) // as the front of every server does
		p.Handler().ServeHTTP(w, r)
	}))
	l := p.listenAt(server, "order", "{}")
	for n := 1; time.Since(began) < 4*limit; n++ {
		c.commit(true, step("order", logtest.ID(n), 1, paid)...)
		if e := l.end(); e.InstanceID != logtest.ID(n) {
			t.Fatalf("got %+v", e)
		}
	}
	if asked.Load() < 2 {
		t.Error("the route has not set a deadline of its own")
	}
}

// A projector that is still reading what is there refuses: what it folds until then
// has ended long ago.
func TestNobodyListensToARestore(t *testing.T) {
	s := newStill(t, nil)
	if w := s.ask("POST", "/api/v1/types/order/ends", "{}"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "LEAT-A001") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
