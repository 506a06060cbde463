package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/pkg/events"
)

// withProjector is a client of c's cluster that reads from a projector; with
// brokers it also writes to Kafka itself.
func withProjector(t *testing.T, c *Client, brokers bool) *Client {
	t.Helper()
	p, err := projector.New(projector.Config{Kafka: c.kafka, Names: c.names})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Errorf("projector: %v", err)
		}
	})
	server := httptest.NewServer(p.Handler())
	config := Config{API: server.URL + "/", Prefix: c.config.Prefix}
	if brokers {
		config.Brokers = c.config.Brokers
	}
	api, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close(); cancel(); running.Wait(); server.Close() })
	deadline := time.Now().Add(20 * time.Second)
	for p.Ready() != nil {
		if time.Now().After(deadline) {
			t.Fatal(p.Ready())
		}
		kafka.Pause(t.Context(), 10*time.Millisecond)
	}
	return api
}

func TestReadingAProjector(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	d := fiveOrders(ctx, t, c)
	api := withProjector(t, c, true)

	s, err := api.Get(ctx, "order", "3", GetOptions{MinSequence: d.Sequence()})
	if err != nil || s.State != events.WorkflowCompleted || s.Key != "3" || s.SequenceNumber != 4 {
		t.Fatalf("got %+v, %v", s, err)
	}
	if _, err := api.Get(ctx, "order", "none", GetOptions{}); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	if _, err := api.Get(within(t, 200*time.Millisecond), "order", "3", GetOptions{MinSequence: 99}); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v", err)
	}
	var listed int
	for r := (ListRequest{Type: "order", Limit: 2}); ; {
		page, err := api.List(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Items)
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			break
		}
	}
	if listed != 5 {
		t.Fatalf("listed %d", listed)
	}
	n, err := api.Counts(ctx, "order")
	if err != nil || n.Instances != 5 || n.Workflow[events.WorkflowCompleted] != 1 || n.State["packing"] != 4 {
		t.Fatalf("got %+v, %v", n, err)
	}
	list, err := api.History(ctx, "order", "3", HistoryRequest{From: 2, Limit: 2})
	if err != nil || len(list) != 2 || list[0].SequenceNumber != 2 || list[0].Metadata[events.MetadataCommandID].Str() == "" {
		t.Fatalf("got %+v, %v", list, err)
	}
	if list, err = api.History(ctx, "order", "3", HistoryRequest{}); err != nil || len(list) != 4 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if list, err := api.Definitions(ctx); err != nil || len(list) != 1 || list[0].Source != order {
		t.Fatalf("got %+v, %v", list, err)
	}
	if s, err := api.WaitFinished(ctx, "order", "3"); err != nil || s.State != events.WorkflowCompleted {
		t.Fatalf("got %+v, %v", s, err)
	}
	if _, err := api.Start(ctx, StartRequest{Type: "ordr", Key: "1"}); !errors.Is(err, ErrUnknownType) {
		t.Fatalf("got %v", err)
	}
}

func TestWithoutKafkaTheProjectorWrites(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	api := withProjector(t, c, false)
	run, err := api.Start(ctx, StartRequest{Type: "order", Key: "1", Input: map[string]int{"n": 1}})
	if err != nil {
		t.Fatal(err)
	}
	r := run.Receipt()
	if err != nil || r.InstanceID != events.InstanceIDForKey("order", "1") || r.Topic != c.names.Commands("order") || r.Type != "order" {
		t.Fatalf("got %+v, %v", r, err)
	}
	if d, err := c.Wait(ctx, r); err != nil || len(d.Events) != 2 {
		t.Fatalf("got %+v, %v", d, err)
	}
	if _, err := api.Get(ctx, "order", "1", GetOptions{MinSequence: 2}); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for e, err := range api.Follow(ctx, "order", "1", 1) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.SequenceNumber); e.SequenceNumber == 2 {
			if _, err := api.Signal(ctx, SignalRequest{Type: "order", Key: "1", Event: "finish", IdempotencyKey: "once"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fmt.Sprint(got) != "[1 2 3 4]" {
		t.Fatalf("got %v", got)
	}
	if err := run.Result(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := api.WaitFinished(ctx, "order", "1"); err != nil || s.SequenceNumber != 4 {
		t.Fatalf("got %+v, %v", s, err)
	}
	if _, err := api.Start(ctx, StartRequest{Type: "ordr", Key: "1"}); !errors.Is(err, ErrUnknownType) {
		t.Fatalf("got %v", err)
	}
	for name, err := range map[string]error{
		"do":     second(api.Do(ctx, StartRequest{Type: "order"})),
		"deploy": second(api.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order)})),
	} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnswersThatAreNoAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"not JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ErrAnswer},
		{"a proxy's 502", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, ErrProjector},
		{"a foreign 404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, ErrAnswer},
		{"a problem", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"title":"No","code":"LEAT-W004","fix":"look again"}`))
		}, ErrConflict},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			api, err := New(Config{API: server.URL, Timeout: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer api.Close()
			if _, err := api.Get(t.Context(), "order", "1", GetOptions{}); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err := firstError(api.Follow(within(t, 100*time.Millisecond), "order", "1", 1)); err == nil {
				t.Fatal("a stream of nothing ended without an error")
			}
		})
	}
	api, err := New(Config{API: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	if _, err := api.Counts(t.Context(), "order"); !errors.Is(err, ErrProjector) {
		t.Fatalf("got %v", err)
	}
}

// counter passes requests on and counts them.
type counter struct {
	http.RoundTripper
	n atomic.Int32
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// Waiting with a projector alone costs no request: one stream tells of all ends.
func TestWaitingWithAProjectorAlone(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	api := withProjector(t, c, false)
	requests := &counter{RoundTripper: api.config.HTTP.Transport}
	api.config.HTTP.Transport = requests
	run, err := api.Start(ctx, StartRequest{Type: "order", Key: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Result(within(t, 50*time.Millisecond), nil); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v", err)
	}
	if _, err := api.Get(ctx, "order", "1", GetOptions{MinSequence: 2}); err != nil {
		t.Fatal(err)
	}
	before := requests.n.Load()
	done := make(chan error, 3)
	run.AfterFunc(func() { done <- run.Result(ctx, nil) })
	for range 2 {
		go func() { done <- run.Result(ctx, nil) }()
	}
	kafka.Pause(ctx, 300*time.Millisecond)
	if err := run.Signal(ctx, "finish", 7); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := requests.n.Load() - before; n != 1 { // the signal: the stream is open
		t.Errorf("%d requests", n)
	}
	attached, err := api.Attach(ctx, "order", "1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Result[int](ctx, attached); err != nil || got != 7 {
		t.Fatalf("got %d, %v", got, err)
	}
	if _, err := api.Attach(ctx, "order", "none"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	open, err := api.Start(ctx, StartRequest{Type: "order", Key: "2"})
	if err != nil {
		t.Fatal(err)
	}
	ended := open.Done()
	api.Close()
	<-ended
}

// held answers a request when it is let go.
type held struct {
	here atomic.Int32
	let  chan struct{}
}

func (h *held) RoundTrip(r *http.Request) (*http.Response, error) {
	h.here.Add(1)
	defer h.here.Add(-1)
	select {
	case <-h.let:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.WriteString("{}")
	return w.Result(), nil
}

// However many start at once, a projector gets no more connections than it takes.
func TestCommandsTakeTurnsAtAProjector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &held{let: make(chan struct{})}
		api, err := New(Config{API: "http://projector", HTTP: &http.Client{Transport: server}})
		if err != nil {
			t.Fatal(err)
		}
		defer api.Close()
		const n = 10 * commandsAtOnce
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, n)
		for range n {
			go func() { ended <- second(api.Send(ctx, StartRequest{Type: "order"})) }()
		}
		synctest.Wait()
		if got := server.here.Load(); got != commandsAtOnce {
			t.Errorf("%d requests at once", got)
		}
		for range n / 2 {
			server.let <- struct{}{}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		cancel() // those under way, and those whose turn has not come
		for range n / 2 {
			if err := <-ended; !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrTimeout) {
				t.Errorf("got %v", err)
			}
		}
	})
}
