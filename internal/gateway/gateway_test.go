package gateway

import (
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

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/pkg/events"
)

func heartbeatOf(d time.Duration) func(*events.Task) {
	return func(t *events.Task) { t.Timeouts.Heartbeat = d }
}

func TestATaskGoesOutAndComesBack(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	b.issue(heartbeatOf(time.Minute))
	task := s.poll(1)[0]
	if task.TaskName != "pay.charge" || task.Attempt != 1 || string(task.Input) != `{"amount":3}` || task.InstanceKey != "1" ||
		task.HeartbeatTimeout != 60_000 || task.IdempotencyKey != "key-"+task.TaskID.String() {
		t.Errorf("got %+v", task)
	}
	if text, _ := json.Marshal(task); strings.Contains(string(text), "secret-of-the-attempt") {
		t.Error("the worker is given the attempt's own token")
	}
	claim := b.until(events.CommandClaim, 1)
	if claim.Result.TaskID != task.TaskID || claim.Result.NodeID != "gate" || claim.Result.Token != "secret-of-the-attempt" {
		t.Errorf("got %+v", claim.Result)
	}
	if text := s.say(http.StatusOK, "pay/heartbeat", leaseOf(task)); text != `{"heartbeat_timeout_ms":60000}`+"\n" {
		t.Error(text)
	}
	b.until(events.CommandHeartbeat, 1)
	body := `{"lease":"` + task.Lease + `","result":{"paid":3}}`
	want := fmt.Sprintf(`{"task_id":"%s","attempt":1,"state":"completed"}`+"\n", task.TaskID)
	if text := s.say(http.StatusOK, "pay/complete", body); text != want {
		t.Error(text)
	}
	result := b.until(events.CommandResult, 1)
	if result.Result.State != events.TaskCompleted || string(result.Payload) != `{"paid":3}` || result.Result.Token != "secret-of-the-attempt" {
		t.Errorf("got %s %+v", result.Payload, result.Result)
	}
	// A worker that has not got the answer asks again.
	if text := s.say(http.StatusOK, "pay/complete", body); text != want {
		t.Error(text)
	}
	s.refused(http.StatusConflict, "LEAT-G002", "the attempt has been reported: complete", "pay/fail", `{"lease":"`+task.Lease+`","message":"no"}`)
	s.refused(http.StatusConflict, "LEAT-G002", "the attempt has been reported", "pay/heartbeat", leaseOf(task))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if n := b.said(events.CommandResult); n != 1 {
		t.Errorf("%d results", n)
	}
}

func TestFailuresAreReportedAsTheWorkerSaysThem(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	for i, c := range []struct {
		body string
		want events.Error
	}{
		{`"message":"no luck"`, events.Error{Code: "TASK_FAILED", Message: "no luck", Retryable: true}},
		{`"message":"declined","code":"CARD_DECLINED","retryable":false`, events.Error{Code: "CARD_DECLINED", Message: "declined"}},
	} {
		b.issue(nil)
		task := s.poll(1)[0]
		s.say(http.StatusOK, "pay/fail", `{"lease":"`+task.Lease+`",`+c.body+`}`)
		if got := b.until(events.CommandResult, i+1); got.Result.State != events.TaskFailed || *got.Result.Error != c.want {
			t.Errorf("got %+v, want %+v", got.Result.Error, c.want)
		}
	}
}

// What a worker says in its heartbeats is there for the next attempt.
func TestDetailsOfHeartbeats(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	b.issue(func(t *events.Task) { t.HeartbeatDetails = []byte(`{"page":6}`) })
	task := s.poll(1)[0]
	if string(task.HeartbeatDetails) != `{"page":6}` {
		t.Errorf("got %s", task.HeartbeatDetails)
	}
	s.say(http.StatusOK, "pay/heartbeat", `{"lease":"`+task.Lease+`","details":{"page":7}}`)
	if got := b.until(events.CommandHeartbeat, 1).Result.HeartbeatDetails; string(got) != `{"page":7}` {
		t.Errorf("got %s", got)
	}
	s.refused(http.StatusBadRequest, "LEAT-A003", "they are 66562 bytes of JSON, at most 65536", "pay/heartbeat",
		`{"lease":"`+task.Lease+`","details":"`+strings.Repeat("x", 65<<10)+`"}`)
	s.say(http.StatusOK, "pay/heartbeat", leaseOf(task))
	s.say(http.StatusOK, "pay/fail", `{"lease":"`+task.Lease+`","message":"later","retry_after_ms":1500}`)
	if got := b.until(events.CommandResult, 1).Result; string(got.HeartbeatDetails) != `{"page":7}` || got.RetryAfter != 1500*time.Millisecond ||
		got.Error.Message != "later" {
		t.Errorf("got %+v %+v", got, got.Error)
	}
}

// What cannot be recorded fails the task, as it does in any executor: the same
// attempt would come to the same result for ever.
func TestAResultThatIsTooLargeFailsTheTask(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	b.issue(nil)
	task := s.poll(1)[0]
	large := `{"lease":"` + task.Lease + `","result":"` + strings.Repeat("x", 300<<10) + `"}`
	for range 2 { // and once more
		s.refused(http.StatusUnprocessableEntity, "LEAT-G008",
			"the result is 307202 bytes, at most 262144: keep large content elsewhere and return a reference", "pay/complete", large)
	}
	if got := b.until(events.CommandResult, 1).Result; got.State != events.TaskFailed || got.Error.Code != "BAD_RESULT" || got.Error.Retryable {
		t.Errorf("got %+v", got.Error)
	}
}

func TestWhatCannotBeUnderstood(t *testing.T) {
	b := newBench(t)
	s := b.serve(func(c *Config) { c.Served = []string{"mail"} })
	const huge = 1<<20 + 1
	for _, c := range []struct {
		status       int
		code, detail string
		path, body   string
	}{
		{400, "LEAT-A003", "unexpected end of JSON input", "pay/poll", `{"max`},
		{422, "LEAT-A003", "expected number <= 100", "pay/poll", `{"max_tasks":1000}`},
		{422, "LEAT-A003", "expected number >= 1", "pay/poll", `{"max_tasks":0}`},
		{422, "LEAT-A003", "unexpected property", "pay/poll", `{"most":1}`},
		{400, "LEAT-A003", "2h0m0s is not between 0s and 1m0s", "pay/poll", `{"wait":"2h"}`},
		{400, "LEAT-A003", `"soon": want a duration such as 500ms or 30s`, "pay/poll", `{"wait":"soon"}`},
		{400, "LEAT-A003", "does not match", "a.b/poll", `{}`},
		{404, "LEAT-G003", "no definition that is deployed has a task nobody.…", "nobody/poll", `{"wait":"10ms"}`},
		{409, "LEAT-G006", "this process runs its tasks by itself", "mail/poll", `{}`},
		{422, "LEAT-A003", "required property lease", "pay/complete", `{"result":1}`},
		{422, "LEAT-A003", "required property message", "pay/fail", `{"lease":"v1"}`},
		{400, "LEAT-A003", "invalid character", "pay/complete", `garbage`},
		{413, "LEAT-A003", "too large", "pay/complete", `{"lease":"` + strings.Repeat("x", huge) + `"}`},
	} {
		s.refused(c.status, c.code, c.detail, c.path, c.body)
	}
	if text := s.say(http.StatusNotFound, "pay/nothing", `{}`); !strings.Contains(text, "/v1/queues/pay/nothing is not a route") {
		t.Error(text)
	}
}

// While Kafka takes nothing a report is not durable, and its worker is told. It is
// kept: the same request gets its answer when Kafka is back.
func TestKafkaIsAwayWhenATaskEnds(t *testing.T) {
	b := newBench(t)
	s := b.serve(func(c *Config) { c.durableWithin = 50 * time.Millisecond })
	b.issue(nil)
	task := s.poll(1)[0]
	var back atomic.Bool
	const produce = 0
	b.cluster.ControlKey(produce, func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		return nil, errors.New("away"), !back.Load() // closes the connection
	})
	s.refused(http.StatusServiceUnavailable, "LEAT-K001", "Kafka has not taken it yet; the gateway goes on trying", "pay/complete", leaseOf(task))
	s.refused(http.StatusConflict, "LEAT-G002", "the attempt has been reported: complete", "pay/fail", `{"lease":"`+task.Lease+`","message":"no"}`)
	back.Store(true)
	b.eventually("the report is durable", func() bool {
		status, _, err := s.post(t.Context(), "pay/complete", leaseOf(task))
		return err == nil && status == http.StatusOK
	})
	if got := b.until(events.CommandResult, 1); got.Result.State != events.TaskCompleted {
		t.Errorf("got %+v", got.Result)
	}
}

// Nobody reports with a lease that was not given to them, or that is over.
func TestLeasesThatAreOldOrForged(t *testing.T) {
	b := newBench(t)
	b.provision(b.names.Queue("mail", 1))
	s := b.serve(nil)
	b.issue(heartbeatOf(200*time.Millisecond), nil)
	tasks := s.poll(2)
	silent, task := tasks[0], tasks[1]
	part := strings.Split(task.Lease, ".")
	with := func(at int, text string) string {
		changed := append([]string(nil), part...)
		changed[at] = text
		return `{"lease":"` + strings.Join(changed, ".") + `"}`
	}
	const old, fake = "LEAT-G002", "LEAT-G001"
	for _, kind := range []string{"heartbeat", "complete"} {
		s.refused(403, fake, "not of the form", "pay/"+kind, `{"lease":"let me in"}`)
		s.refused(403, fake, "has not given it out", "pay/"+kind, with(5, strings.Repeat("A", 22)))
		s.refused(403, fake, "has not given it out", "pay/"+kind, with(3, "2")) // the next attempt of the same task
		s.refused(403, fake, "has not given it out", "pay/"+kind, with(4, "99"))
		s.refused(403, fake, "its attempt is not a number", "pay/"+kind, with(3, "x"))
		s.refused(403, fake, "its task is not a UUID", "pay/"+kind, with(2, "x"))
		s.refused(409, "LEAT-G009", "leases live in the process that was polled", "pay/"+kind, with(1, "AAAAAAAAAAA"))
		s.refused(403, fake, "its task is of queue pay, not mail", "mail/"+kind, leaseOf(task))
	}
	h, err := s.gateway.leases.find("pay", silent.Lease)
	if err != nil {
		t.Fatal(err)
	}
	b.eventually("the silent worker's lease is over", func() bool { return h.lease.Why() != nil })
	s.refused(409, old, "no heartbeat came in time; the router issues the task again", "pay/complete", leaseOf(silent))
	s.refused(409, old, "no heartbeat came in time", "pay/heartbeat", leaseOf(silent))
	s.say(200, "pay/complete", leaseOf(task))
	if b.until(events.CommandResult, 1).Result.TaskID != task.TaskID {
		t.Error("a silent worker's task was reported")
	}
	// So many others have ended since that the gateway remembers it no longer.
	s.gateway.leases.mu.Lock()
	s.gateway.leases.ended = make(map[string]*held)
	s.gateway.leases.mu.Unlock()
	s.refused(409, old, "it ended some time ago", "pay/complete", leaseOf(silent))
}

func TestAHeartbeatKeepsTheLease(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	const timeout = time.Second
	b.issue(heartbeatOf(timeout))
	task := s.poll(1)[0]
	for until := time.Now().Add(2 * timeout); time.Now().Before(until); {
		s.say(http.StatusOK, "pay/heartbeat", leaseOf(task))
	}
	s.say(http.StatusOK, "pay/complete", leaseOf(task))
	// Hundreds were sent, and one was written in a tenth of the timeout at the most.
	if n := b.said(events.CommandHeartbeat); n < 2 || n > 40 {
		t.Errorf("%d heartbeats were written", n)
	}
}

// A worker that goes away while it polls takes nothing with it.
func TestAPollThatIsCutOff(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	s.pollOnce(1, "0s") // the queue is read from here on
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, _, err := s.post(ctx, "pay/poll", `{"wait":"60s"}`)
		gone <- err
	}()
	waiting := func(n int) func() bool {
		return func() bool {
			s.gateway.mu.Lock()
			defer s.gateway.mu.Unlock()
			return s.gateway.all == n
		}
	}
	b.eventually("it polls", waiting(1))
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.eventually("it has gone", waiting(0))
	b.issue(nil)
	if task := s.poll(1)[0]; task.Attempt != 1 {
		t.Errorf("got %+v", task)
	}
}

// deaf is a connection on which the answer is lost.
type deaf struct{ *httptest.ResponseRecorder }

func (deaf) Write([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

func TestAnAnswerThatIsLost(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	b.issue(nil, nil)
	s.gateway.answer(t.Context(), deaf{httptest.NewRecorder()}, "pay", 2, patience)
	if tasks := s.poll(2); tasks[0].Attempt != 1 || tasks[1].Attempt != 1 || tasks[0].TaskID == tasks[1].TaskID {
		t.Errorf("got %+v", tasks)
	}
	if n := b.said(events.CommandResult); n != 0 {
		t.Errorf("%d results, though nobody has said anything", n)
	}
}

// hasty is a client that closes its connection as soon as it has the answer.
type hasty struct {
	*httptest.ResponseRecorder
	leave func()
}

func (h hasty) Write(b []byte) (int, error) {
	defer h.leave()
	return h.ResponseRecorder.Write(b)
}

func TestAnAnswerThatWasReadIsNotTakenBack(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	b.issue(nil)
	ctx, leave := context.WithCancel(t.Context())
	w := hasty{httptest.NewRecorder(), leave}
	s.gateway.answer(ctx, w, "pay", 1, patience)
	var out Polled
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || len(out.Tasks) != 1 {
		t.Fatalf("%v in %s", err, w.Body)
	}
	s.say(http.StatusOK, "pay/complete", leaseOf(out.Tasks[0]))
}

// A task that must not run twice is nobody's before all know that it is taken.
func TestATaskThatMustNotRunTwice(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	b.issue(func(t *events.Task) { t.Delivery = events.AtMostOnce })
	task := s.poll(1)[0]
	if b.until(events.CommandClaim, 1).Result.TaskID != task.TaskID || task.Delivery != events.AtMostOnce {
		t.Errorf("got %+v", task)
	}
	s.say(http.StatusOK, "pay/complete", leaseOf(task))
}

func TestWhoHasATaskMayReportItWhileTheGatewayStops(t *testing.T) {
	b := newBench(t)
	s := b.serve(func(c *Config) { c.DrainTimeout = patience })
	b.issue(nil)
	task := s.poll(1)[0]
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	b.eventually("it stops", func() bool { return s.gateway.Ready() != nil })
	s.refused(http.StatusServiceUnavailable, "LEAT-G007", "the gateway is stopping", "pay/poll", `{}`)
	s.say(http.StatusOK, "pay/heartbeat", leaseOf(task))
	s.say(http.StatusOK, "pay/complete", leaseOf(task))
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	b.until(events.CommandResult, 1)
}

// What a worker still has when the gateway is gone is reported as the engine's
// loss, so that the task is issued again at once; the worker is told.
func TestWhatIsLeftWhenTheGatewayStops(t *testing.T) {
	b := newBench(t)
	s := b.serve(func(c *Config) { c.DrainTimeout = time.Millisecond })
	b.issue(nil)
	task := s.poll(1)[0]
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := b.until(events.CommandResult, 1).Result; got.Error == nil || got.Error.Code != executor.CodeDrained || !got.Error.Retryable {
		t.Errorf("got %+v", got.Error)
	}
	s.refused(http.StatusConflict, "LEAT-G002", "the executor has stopped; the router issues the task again", "pay/complete", leaseOf(task))
	again := b.serve(nil)
	again.refused(http.StatusConflict, "LEAT-G009", "this is another gateway, or that process has restarted since", "pay/complete", leaseOf(task))
}

// A report that reaches another gateway changes nothing, and says where to send
// it; the gateway that was polled still takes it.
func TestAReportThatReachesAnotherGateway(t *testing.T) {
	b := newBench(t)
	polled, other := b.serve(nil), b.serve(nil)
	b.issue(nil)
	task := polled.poll(1)[0]
	for _, kind := range []string{"heartbeat", "complete"} {
		other.refused(http.StatusConflict, "LEAT-G009", "leases live in the process that was polled", "pay/"+kind, leaseOf(task))
	}
	if text := other.say(http.StatusConflict, "pay/complete", leaseOf(task)); !strings.Contains(text, "send heartbeats and reports to the gateway that was polled") {
		t.Errorf("no fix in %s", text)
	}
	polled.say(http.StatusOK, "pay/heartbeat", leaseOf(task))
	polled.say(http.StatusOK, "pay/complete", leaseOf(task))
	if n := b.until(events.CommandResult, 1).Result.State; n != events.TaskCompleted {
		t.Errorf("got %s", n)
	}
}

func TestAPollWaitsForItsQueue(t *testing.T) {
	b := newBench(t)
	s := b.serve(nil)
	came := make(chan string, 1)
	go func() {
		_, text, _ := s.post(t.Context(), "late/poll", `{"wait":"30s"}`)
		came <- text
	}()
	b.eventually("it polls", func() bool {
		s.gateway.mu.Lock()
		defer s.gateway.mu.Unlock()
		return s.gateway.all == 1
	})
	b.provision(b.names.Queue("late", 1))
	b.issue(func(t *events.Task) { t.Queue, t.TaskName = "late", "late.comer" })
	if text := <-came; !strings.Contains(text, `"task_name":"late.comer"`) {
		t.Error(text)
	}
}

func TestBounds(t *testing.T) {
	b := newBench(t)
	b.provision(b.names.Queue("mail", 1))
	s := b.serve(func(c *Config) { c.MaxClientPolls, c.MaxQueues, c.ReadAhead = 1, 1, 100 })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	gone := make(chan struct{})
	go func() { _, _, _ = s.post(ctx, "pay/poll", `{"wait":"60s"}`); close(gone) }()
	b.eventually("it polls", func() bool {
		s.gateway.mu.Lock()
		defer s.gateway.mu.Unlock()
		return s.gateway.all == 1 && len(s.gateway.queues) == 1
	})
	s.refused(http.StatusTooManyRequests, "LEAT-G004", "1 of this address wait, and no more may", "pay/poll", `{}`)
	leave()
	<-gone
	b.eventually("it has gone", func() bool {
		s.gateway.mu.Lock()
		defer s.gateway.mu.Unlock()
		return s.gateway.all == 0
	})
	s.refused(http.StatusServiceUnavailable, "LEAT-G004", "this gateway reads 1 queues, and no more", "mail/poll", `{}`)

	// An answer is bounded in bytes, whatever was asked for.
	large := func(t *events.Task) { t.Input = []byte(`"` + strings.Repeat("x", 200<<10) + `"`) }
	for range 20 {
		b.issue(large)
	}
	got := 0
	for got < 20 {
		tasks := s.pollOnce(100, "10s")
		if len(tasks) > 11 {
			t.Errorf("%d tasks of 200 KiB in one answer", len(tasks))
		}
		got += len(tasks)
	}
}

// A queue that nobody polls is given up, and comes back with the next poll.
func TestAnIdleQueueIsGivenUp(t *testing.T) {
	b := newBench(t)
	s := b.serve(func(c *Config) { c.Idle = 20 * time.Millisecond })
	read := func() int {
		s.gateway.mu.Lock()
		defer s.gateway.mu.Unlock()
		return len(s.gateway.queues)
	}
	b.issue(nil)
	task := s.poll(1)[0]
	if read() != 1 {
		t.Error("a queue is given up while a worker has one of its tasks")
	}
	s.say(http.StatusOK, "pay/complete", leaseOf(task))
	b.eventually("the queue is given up", func() bool { return read() == 0 })
	b.issue(nil)
	if task := s.poll(1)[0]; task.InstanceKey != "2" {
		t.Errorf("got %+v", task)
	}
}

func TestToken(t *testing.T) {
	b := newBench(t)
	s := b.serve(func(c *Config) { c.Token = "open sesame" })
	s.pollOnce(1, "0s")
	for token, detail := range map[string]string{
		"": "there is no Authorization header", "Bearer open": "has another token", "Basic open sesame": "is not of the form: Bearer TOKEN",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/queues/pay/poll", nil)
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		w := httptest.NewRecorder()
		s.gateway.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), detail) || !strings.Contains(w.Body.String(), "LEAT-G005") ||
			w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d %s", token, w.Code, w.Body)
		}
	}
}

func TestTheAPIDescribesItself(t *testing.T) {
	g, err := New(Config{Kafka: newBench(t).config})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	for _, want := range []string{`"/v1/queues/{queue}/poll"`, `"/v1/queues/{queue}/heartbeat"`, `"/v1/queues/{queue}/complete"`, `"/v1/queues/{queue}/fail"`, `"Polled"`, `heartbeat_timeout_ms`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
	g.endPolls()
}
