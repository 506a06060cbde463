package projector

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/pkg/events"
)

// still is a projector that follows nothing: the test folds by hand.
type still struct {
	*Projector
	t      *testing.T
	worker *worker
	logs   map[string]*logtest.Log
}

func newStill(t *testing.T, edit func(*Config)) *still {
	t.Helper()
	c := Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}}
	if edit != nil {
		edit(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.live.db = memory(t)
	return &still{Projector: p, t: t, worker: &worker{Projector: p, folder: &views.Folder{DB: p.live.db}}, logs: map[string]*logtest.Log{}}
}

// say folds records as Process does.
func (s *still) say(records ...any) {
	s.t.Helper()
	b := &shard.Batch{}
	for _, r := range records {
		var topic string
		switch r := r.(type) {
		case *events.Snapshot:
			topic = logtest.Names.State(r.WorkflowType)
			s.logOf(topic, r.WorkflowType, true).Snapshot(r)
		case *events.Event:
			topic = logtest.Names.Events(r.WorkflowType)
			s.logOf(topic, r.WorkflowType, false).Event(r)
		}
		l := s.logs[topic]
		b.Records = append(b.Records, l.Records[len(l.Records)-1])
	}
	if err := s.worker.Process(s.t.Context(), b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *still) logOf(topic, workflowType string, state bool) *logtest.Log {
	if s.logs[topic] == nil {
		s.logs[topic] = &logtest.Log{Topic: topic}
		s.mu.Lock()
		s.sources[topic] = views.Source{Type: workflowType, State: state}
		s.mu.Unlock()
	}
	return s.logs[topic]
}

func (s *still) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// get decodes a 200.
func get[T any](s *still, path string) (answer T, header http.Header) {
	s.t.Helper()
	w := s.ask("GET", path, "")
	if w.Code != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		s.t.Fatalf("GET %s: %v in %s", path, err, w.Body)
	}
	return answer, w.Header()
}

func keyed(key string) func(*events.Snapshot) {
	return func(s *events.Snapshot) { s.Key = key }
}

func TestGetByIDAndByKey(t *testing.T) {
	s := newStill(t, nil)
	derived, own, uuidKey := events.InstanceIDForKey("order", "a/b 1"), logtest.ID(1), logtest.ID(2).String()
	s.say(
		logtest.Snapshot("order", derived, 3, keyed("a/b 1")),
		logtest.Snapshot("order", own, 7, keyed("mine")),
		logtest.Snapshot("order", logtest.ID(3), 9, keyed(uuidKey)),
		logtest.Snapshot("order", logtest.ID(2), 11, nil), // whose id is the key of another
		logtest.Snapshot("order", events.InstanceIDForKey("order", ".."), 13, keyed("..")),
		logtest.Snapshot("order", events.InstanceIDForKey("order", "/"), 15, keyed("/")),
		logtest.Snapshot("order", events.InstanceIDForKey("order", "."), 17, keyed(".")),
	)
	for path, want := range map[string]int64{
		derived.String(): 3, "a%2Fb%201": 3, own.String(): 7, "mine": 7, uuidKey: 9,
		"id:" + uuidKey: 11, "id:" + derived.String(): 3, "%2E%2E": 13, "..": 13, "%2F": 15, "%2f": 15, ".": 17, "%2E": 17,
	} {
		got, header := get[events.Snapshot](s, "/api/v1/instances/order/"+path)
		if got.SequenceNumber != want || header.Get("Leat-Sequence") != strconv.FormatInt(want, 10) {
			t.Errorf("%s: sequence %d, header %q, want %d", path, got.SequenceNumber, header.Get("Leat-Sequence"), want)
		}
	}
}

func TestProblems(t *testing.T) {
	s := newStill(t, nil)
	s.say(logtest.Snapshot("order", logtest.ID(1), 1, nil), logtest.Event("order", logtest.ID(1), 1))
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/api/v1/instances/order/nobody", "", 404, "LEAT-W001"},
		{"GET", "/api/v1/instances/order/nobody/history", "", 404, "LEAT-W001"},
		{"GET", "/api/v1/instances/order/nobody/history/stream", "", 404, "LEAT-W001"},
		{"GET", "/api/v1/instances/Order!/x", "", 400, "LEAT-A003"},
		{"GET", "/api/v1/instances?limit=1001", "", 422, "LEAT-A003"},
		{"GET", "/api/v1/instances?limit=x", "", 422, "LEAT-A003"},
		{"GET", "/api/v1/instances?cursor=***", "", 400, "LEAT-A003"},
		{"GET", "/api/v1/instances?type=order&cursor=AAAA", "", 400, "LEAT-A003"},
		{"GET", "/api/v1/instances/order/x?wait=2h", "", 400, "LEAT-A003"},
		{"GET", "/api/v1/instances/order/x?min_sequence=1&wait=0s", "", 504, "LEAT-X001"},
		{"GET", "/api/v2", "", 404, "LEAT-A003"},
		{"POST", "/api/v1/instances/order", `{"key":"a"}`, 404, "LEAT-F002"},
		{"POST", "/api/v1/instances/order", `{"kay":"a"}`, 422, "LEAT-A003"},
		{"POST", "/api/v1/instances/order", `{`, 400, "LEAT-A003"},
		{"POST", "/api/v1/instances/order", `{"instance_id":"12"}`, 400, "LEAT-A003"},
		{"POST", "/api/v1/instances/order", `{"key":""}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order", `{"key":"a\u001b[2J"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order", `{"key":"a\u0000"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order", `{"key":"\ud800"}`, 422, "LEAT-A003"},
		{"POST", "/api/v1/instances/order", `{"key":"id:` + logtest.ID(1).String() + `"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order", `{"key":"a","instance_id":"` + logtest.ID(1).String() + `"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order", `{"input":"` + strings.Repeat("x", events.MaxPayloadLength) + `"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order", `{"input":"` + strings.Repeat("x", maxBody) + `"}`, 413, "LEAT-A003"},
		{"POST", "/api/v1/instances/order/x/signals", `{}`, 422, "LEAT-A003"},
		{"POST", "/api/v1/instances/order/x/signals", `{"event":"a\u0000"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order/%00/signals", `{"event":"a"}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order/%ff/pause", `{}`, 422, "LEAT-W005"},
		{"POST", "/api/v1/instances/order/%0A/cancel", "", 422, "LEAT-W005"},
	} {
		w := s.ask(tt.method, tt.path, tt.body)
		var p Problem
		err := json.Unmarshal(w.Body.Bytes(), &p)
		if err != nil || w.Code != tt.status || string(p.Code) != tt.code || p.Status != tt.status || p.Title == "" || p.Detail == "" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s, want %d with %s", tt.method, tt.path, w.Code, w.Body, tt.status, tt.code)
		}
	}
}

func TestIdempotencyKeyThatIsNoText(t *testing.T) {
	s := newStill(t, nil)
	if w := s.ask("POST", "/api/v1/instances/order", `{}`, "Idempotency-Key", "\xff"); w.Code != 422 || !strings.Contains(w.Body.String(), "idempotency_key") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRequestsFromOtherOriginsChangeNothing(t *testing.T) {
	s := newStill(t, nil)
	if w := s.ask("POST", "/api/v1/instances/order", `{}`, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestPageStandsBesideTheAPI(t *testing.T) {
	s := newStill(t, func(c *Config) {
		c.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "page ", r.URL.Path) })
	})
	for ask, want := range map[string]string{
		"GET /": "page /", "GET /console.js": "page /console.js", "POST /": "LEAT-A003", "GET /api/v1/nothing": "LEAT-A003",
		"GET /api/v1/definitions": `{"items":[]}`,
	} {
		method, path, _ := strings.Cut(ask, " ")
		if got := s.ask(method, path, "").Body.String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", ask, got, want)
		}
	}
}

func TestNotReadyBeforeRun(t *testing.T) {
	p, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/instances/order/x", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "LEAT-A001") || p.Ready() == nil {
		t.Errorf("got %d %s, ready: %v", w.Code, w.Body, p.Ready())
	}
}

type page struct {
	Items      []events.Snapshot `json:"items"`
	NextCursor string            `json:"next_cursor"`
}

func TestListPagesStayPutWhileInstancesBegin(t *testing.T) {
	s := newStill(t, nil)
	begin := func(n int) {
		s.say(logtest.Snapshot("order", logtest.ID(n), 1, func(s *events.Snapshot) { s.CreatedAt = logtest.Began.AddDate(0, 0, n) }))
	}
	for n := range 7 {
		begin(n)
	}
	seen, next := map[events.UUID]int{}, ""
	for n := 7; ; n++ {
		got, _ := get[page](s, "/api/v1/instances?type=order&limit=2&cursor="+next)
		for _, i := range got.Items {
			seen[i.InstanceID]++
		}
		if next = got.NextCursor; next == "" {
			break
		}
		begin(n)
	}
	for n := range 7 {
		if seen[logtest.ID(n)] != 1 {
			t.Errorf("instance %d was listed %d times", n, seen[logtest.ID(n)])
		}
	}
}

func TestListOverTypes(t *testing.T) {
	s := newStill(t, nil)
	for n := range 5 {
		s.say(logtest.Snapshot([]string{"order", "quake"}[n%2], logtest.ID(n), 1, nil))
	}
	var types []string
	for next := ""; ; {
		got, _ := get[page](s, "/api/v1/instances?limit=1&order=oldest&state=open&cursor="+next)
		for _, i := range got.Items {
			types = append(types, i.WorkflowType)
		}
		if next = got.NextCursor; next == "" {
			break
		}
	}
	if got := strings.Join(types, " "); got != "order order order quake quake" {
		t.Error(got)
	}
}

func TestCounts(t *testing.T) {
	s := newStill(t, nil)
	s.say(logtest.Snapshot("order", logtest.ID(1), 1, nil), logtest.Snapshot("order", logtest.ID(2), 1, nil), logtest.Event("order", logtest.ID(1), 1))
	s.say(logtest.Snapshot("order", logtest.ID(1), 2, func(s *events.Snapshot) {
		s.State, s.Chart.Active = events.WorkflowCompleted, []string{"filed"}
	}))
	w := s.ask("GET", "/api/v1/types/order/counts", "")
	want := `{"workflow_state":{"completed":1,"running":1},"state":{"filed":1,"open":1},"instances":2,"events":1,"as_of":"2026-03-01T12:00:00.002Z"}`
	if got := strings.TrimSpace(w.Body.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHistoryPages(t *testing.T) {
	s := newStill(t, nil)
	for n := range int64(5) {
		s.say(logtest.Event("order", logtest.ID(1), n+1))
	}
	type history struct {
		Items    []views.Fact `json:"items"`
		Next     int64        `json:"next"`
		Sequence int64        `json:"sequence_number"`
	}
	var got []int64
	for next := int64(1); next > 0; {
		h, header := get[history](s, fmt.Sprintf("/api/v1/instances/order/%s/history?limit=2&from=%d", logtest.ID(1), next))
		for _, e := range h.Items {
			got = append(got, e.SequenceNumber)
			if e.Offset != e.SequenceNumber-1 || e.EventType != events.EventStateTransitioned {
				t.Errorf("event %+v", e)
			}
		}
		if h.Sequence != 5 || header.Get("Leat-Sequence") != "5" {
			t.Errorf("reflects %d, header %q", h.Sequence, header.Get("Leat-Sequence"))
		}
		next = h.Next
	}
	if fmt.Sprint(got) != "[1 2 3 4 5]" {
		t.Error(got)
	}
}

func TestReadYourWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		s.say(logtest.Snapshot("order", logtest.ID(1), 1, keyed("mine")))
		for n, id := range []string{logtest.ID(1).String(), "mine"} {
			want := int64(n + 2)
			answered := make(chan *httptest.ResponseRecorder)
			go func() {
				answered <- s.ask("GET", fmt.Sprintf("/api/v1/instances/order/%s?min_sequence=%d&wait=60s", id, want), "")
			}()
			synctest.Wait()
			select {
			case w := <-answered:
				t.Fatalf("answered too early: %d %s", w.Code, w.Body)
			default:
			}
			s.say(logtest.Snapshot("order", logtest.ID(1), want, keyed("mine")))
			if w := <-answered; w.Code != http.StatusOK || w.Header().Get("Leat-Sequence") != strconv.FormatInt(want, 10) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		w := s.ask("GET", "/api/v1/instances/order/mine?min_sequence=4&wait=60s", "")
		if w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), `"sequence_number":3`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if len(s.hub.waiting) != 0 {
			t.Error("somebody still waits")
		}
	})
}

// The two views come from two topics: a history that is asked for is not older
// than what the instances view has shown.
func TestHistoryIsAsNewAsTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		const path = "/api/v1/instances/order/mine/history"
		s.say(logtest.Snapshot("order", logtest.ID(1), 2, keyed("mine")))
		answered := make(chan *httptest.ResponseRecorder)
		go func() { answered <- s.ask("GET", path, "") }()
		for sequence := range int64(2) {
			synctest.Wait()
			select {
			case w := <-answered:
				t.Fatalf("answered too early: %d %s", w.Code, w.Body)
			default:
			}
			s.say(logtest.Event("order", logtest.ID(1), sequence+1))
		}
		if w := <-answered; w.Code != http.StatusOK || w.Header().Get("Leat-Sequence") != "2" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		// A history that does not come is shown as far as it goes.
		s.say(logtest.Snapshot("order", logtest.ID(1), 3, keyed("mine")))
		if w := s.ask("GET", path, ""); w.Code != http.StatusOK || w.Header().Get("Leat-Sequence") != "2" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		s.say(logtest.Snapshot("order", logtest.ID(2), 1, keyed("other")))
		if w := s.ask("GET", "/api/v1/instances/order/other/history", ""); w.Code != http.StatusGatewayTimeout {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// wire is a stream's writer and reader.
type wire struct {
	*httptest.ResponseRecorder
	lines chan string
}

func (w *wire) Write(b []byte) (int, error) {
	for scan := bufio.NewScanner(strings.NewReader(string(b))); scan.Scan(); {
		if line := scan.Text(); line != "" && !strings.HasPrefix(line, ":") {
			w.lines <- line
		}
	}
	return len(b), nil
}

func (s *still) stream(ctx context.Context, path string, header ...string) (lines chan string, done chan struct{}) {
	w := &wire{httptest.NewRecorder(), make(chan string)}
	done = make(chan struct{})
	r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	go func() {
		defer close(done)
		s.Handler().ServeHTTP(w, r)
	}()
	return w.lines, done
}

func TestStreamFollowsToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		s.say(logtest.Event("order", logtest.ID(1), 1), logtest.Event("order", logtest.ID(1), 2))
		path := "/api/v1/instances/order/" + logtest.ID(1).String() + "/history/stream"
		lines, done := s.stream(t.Context(), path, "Last-Event-ID", "1")
		expect := func(want string) {
			t.Helper()
			if got := <-lines; !strings.HasPrefix(got, want) {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		expect("id: 2")
		expect(`data: {"event_id":`)
		synctest.Wait()
		s.say(logtest.Event("order", logtest.ID(1), 3))
		expect("id: 3")
		expect("data: ")
		s.say(logtest.Snapshot("order", logtest.ID(1), 4, func(s *events.Snapshot) { s.State = events.WorkflowCompleted }))
		synctest.Wait() // the state is finished, the history is not there yet
		s.say(logtest.Event("order", logtest.ID(1), 4))
		expect("id: 4")
		expect("data: ")
		expect("event: end")
		expect(`data: {"sequence_number":4}`)
		<-done
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open int
		s := newStill(t, func(c *Config) {
			c.MaxFollowers = 1
			c.Metrics.Followers = func(change int) { open += change }
		})
		s.say(logtest.Snapshot("order", logtest.ID(1), 1, nil))
		path := "/api/v1/instances/order/" + logtest.ID(1).String() + "/history/stream"
		ctx, cancel := context.WithCancel(t.Context())
		_, done := s.stream(ctx, path)
		synctest.Wait()
		if w := s.ask("GET", path, ""); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "LEAT-A004") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		cancel()
		<-done
		if open != 0 {
			t.Errorf("%d streams are open", open)
		}
		lines, done := s.stream(t.Context(), path)
		synctest.Wait()
		close(s.stopping)
		if line := <-lines; line != "event: error" {
			t.Error(line)
		}
		<-lines
		<-done
	})
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	s := newStill(t, nil)
	type description struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	d, _ := get[description](s, "/openapi.json")
	var routes int
	for path, methods := range d.Paths {
		routes += len(methods)
		if !strings.HasPrefix(path, "/api/v1/") {
			t.Errorf("route %s", path)
		}
	}
	if routes != 16 {
		t.Errorf("%d routes", routes)
	}
	if !strings.Contains(s.ask("GET", "/openapi.json", "").Body.String(), "Stable name of the kind of problem") {
		t.Error("errors are not described as problems")
	}
}
