package projector

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/pkg/events"
)

func finishedMine(s *events.Snapshot) { s.Key, s.State = "mine", events.WorkflowCompleted }

// A request with wait is answered when the instance is finished, also when the
// instance is not there yet; and when the time is over, with what is there.
func TestAnInstanceIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, nil)
		answered := make(chan *httptest.ResponseRecorder)
		began := time.Now()
		go func() { answered <- s.ask("GET", "/api/v1/instances/order/mine?wait=30s", "") }()
		synctest.Wait()
		s.say(logtest.Snapshot("order", logtest.ID(1), 1, keyed("mine")))
		synctest.Wait()
		select {
		case w := <-answered:
			t.Fatalf("answered before the end: %d %s", w.Code, w.Body)
		default:
		}
		time.Sleep(5 * time.Second) // the bubble's time
		s.say(logtest.Snapshot("order", logtest.ID(1), 2, finishedMine))
		if w := <-answered; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"state":"completed"`) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("answered after %s", took)
		}
		// One that is finished already is answered at once.
		began = time.Now()
		if w := s.ask("GET", "/api/v1/instances/order/mine?wait=30s", ""); w.Code != http.StatusOK || time.Since(began) != 0 {
			t.Errorf("%d %s after %s", w.Code, w.Body, time.Since(began))
		}
		s.say(logtest.Snapshot("order", logtest.ID(2), 1, keyed("slow")))
		if w := s.ask("GET", "/api/v1/instances/order/slow?wait=30s", ""); w.Code != http.StatusOK || time.Since(began) != 30*time.Second ||
			!strings.Contains(w.Body.String(), `"state":"running"`) {
			t.Errorf("%d %s after %s", w.Code, w.Body, time.Since(began))
		}
		if w := s.ask("GET", "/api/v1/instances/order/nobody?wait=1s", ""); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "LEAT-W001") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		// With min_sequence, wait means what it meant.
		if w := s.ask("GET", "/api/v1/instances/order/slow?wait=30s&min_sequence=1", ""); w.Code != http.StatusOK || time.Since(began) > 32*time.Second {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if len(s.hub.waiting) != 0 || s.waits != 0 {
			t.Error("somebody still waits")
		}
	})
}

// Waits are bounded, and end when the client goes or the projector stops.
func TestWaitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStill(t, func(c *Config) { c.MaxWaits = 1 })
		s.say(logtest.Snapshot("order", logtest.ID(1), 1, keyed("mine")))
		wait := func(ctx context.Context) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/instances/order/mine?wait=60s", nil))
			return w
		}
		client, leave := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() { wait(client); close(gone) }()
		synctest.Wait()
		w := wait(t.Context())
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"detail":"this projector serves 1"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		leave()
		<-gone
		if len(s.hub.waiting) != 0 || s.waits != 0 {
			t.Error("who has gone still waits")
		}
		answered := make(chan *httptest.ResponseRecorder)
		go func() { answered <- wait(t.Context()) }()
		synctest.Wait()
		close(s.stopping)
		if w := <-answered; w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "LEAT-A001") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
