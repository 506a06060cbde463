package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/pkg/events"
)

// projected is a projector that can be restarted behind its address.
type projected struct {
	t       *testing.T
	of      *Client
	server  *httptest.Server
	handler atomic.Pointer[http.Handler]
	streams atomic.Int32 // requests for ends
	stop    func()
}

func startProjected(t *testing.T, c *Client) (*projected, *Client) {
	t.Helper()
	p := &projected{t: t, of: c}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ends") {
			p.streams.Add(1)
		}
		if h := p.handler.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(p.server.Close)
	p.start()
	t.Cleanup(func() { p.stop() })
	api, err := New(Config{API: p.server.URL, Logger: c.config.Logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return p, api
}

func (p *projected) start() {
	p.t.Helper()
	engine, err := projector.New(projector.Config{Kafka: p.of.kafka, Names: p.of.names})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := engine.Run(ctx); err != nil {
			p.t.Errorf("projector: %v", err)
		}
	})
	p.stop = func() {
		p.handler.Store(nil)
		cancel()
		running.Wait()
		p.stop = func() {}
	}
	deadline := time.Now().Add(20 * time.Second)
	for engine.Ready() != nil {
		if time.Now().After(deadline) {
			p.t.Fatal(engine.Ready())
		}
		kafka.Pause(p.t.Context(), 10*time.Millisecond)
	}
	handler := engine.Handler()
	p.handler.Store(&handler)
}

// What a router answers to a start is seen with a projector alone, too.
func TestAStartThatIsRefusedWithAProjectorAlone(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	_, api := startProjected(t, c)
	run, err := api.Start(ctx, StartRequest{Type: "order", Key: "1", Version: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Result(ctx, nil); !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "version 9 is not deployed") {
		t.Fatalf("got %v", err)
	}
	if _, err := api.Start(ctx, StartRequest{Type: "ordr", Key: "1"}); !errors.Is(err, ErrUnknownType) {
		t.Fatalf("got %v", err)
	}
	// A duplicate is told where the instance is, while it runs and when it has ended.
	first := begin(ctx, t, api, "2")
	second := begin(ctx, t, api, "2")
	if err := first.Signal(ctx, "finish", 7); err != nil {
		t.Fatal(err)
	}
	for _, run := range []*Run{first, second, begin(ctx, t, api, "2")} {
		if got, err := Result[int](ctx, run); err != nil || got != 7 {
			t.Fatalf("got %d, %v", got, err)
		}
		if s, err := run.Wait(ctx); err != nil || s.Key != "2" || s.Version != 1 {
			t.Fatalf("got %+v, %v", s, err)
		}
	}
}

// An output that is too large for the stream is asked for.
func TestALargeResultWithAProjectorAlone(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	_, api := startProjected(t, c)
	run := begin(ctx, t, api, "1")
	large := strings.Repeat("x", 100_000)
	if err := run.Signal(ctx, "finish", large); err != nil {
		t.Fatal(err)
	}
	if got, err := Result[string](ctx, run); err != nil || got != large {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
}

// Ten thousand runs wait at a projector over one connection, in no goroutine of
// their own and in little memory.
func TestManyRunsWaitAtAProjector(t *testing.T) {
	c := newClient(t)
	ctx := within(t, 180*time.Second)
	if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	p, api := startProjected(t, c)
	const n = 10_000
	ends := make([]*kafka.Record, n)
	for i := range ends {
		ends[i] = endOf(t, c, strconv.Itoa(i), i)
	}
	begin(ctx, t, api, "warm")
	memory := inUse()
	runs := startAll(ctx, t, api, n)
	api.config.HTTP.CloseIdleConnections() // of the starts
	goroutines := runtime.NumGoroutine()
	ended := make(chan int, n)
	for i, run := range runs {
		run.AfterFunc(func() { ended <- i })
	}
	bytes, more := (inUse()-memory)/n, runtime.NumGoroutine()-goroutines
	t.Logf("%d waits: %d goroutines more, %d bytes a wait with what broker and projector keep of it", n, more, bytes)
	if more > 50 || bytes > 10_000 || p.streams.Load() != 1 {
		t.Errorf("%d goroutines and %d bytes a wait more, %d streams", more, bytes, p.streams.Load())
	}
	send(t, c, ends...)
	for range n {
		select {
		case i := <-ended:
			if got, err := Result[int](ctx, runs[i]); err != nil || got != i {
				t.Fatalf("%d: got %d, %v", i, got, err)
			}
		case <-ctx.Done():
			t.Fatal("not all have ended")
		}
	}
	if p.streams.Load() != 1 {
		t.Errorf("%d streams", p.streams.Load())
	}
	clear(runs)
	nothingWaits(ctx, t, api)
}

// A thousand runs wait while the projector is restarted, and end: those that ended
// meanwhile, those that end later, and the one that the router refused.
func TestRunsGoOnWhenAProjectorReturns(t *testing.T) {
	c := newClient(t)
	ctx := within(t, 120*time.Second)
	if _, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	p, api := startProjected(t, c)
	const n = 1000
	runs := startAll(ctx, t, api, n)
	refused, err := api.Start(ctx, StartRequest{Type: "order", Key: "refused", Version: 9})
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	if err := runs[0].Signal(ctx, "finish", nil); !errors.Is(err, ErrProjector) {
		t.Fatalf("a signal without a projector: got %v", err)
	}
	for i := range n / 2 {
		send(t, c, endOf(t, c, strconv.Itoa(i), i))
	}
	startRouter(t, c) // refuses
	if _, err := c.Wait(ctx, refused.Receipt()); !errors.Is(err, ErrRejected) {
		t.Fatalf("got %v", err)
	}
	p.start()
	for i := n / 2; i < n; i++ {
		send(t, c, endOf(t, c, strconv.Itoa(i), i))
	}
	for i, run := range runs {
		if got, err := Result[int](ctx, run); err != nil || got != i {
			t.Fatalf("%d: got %d, %v", i, got, err)
		}
	}
	if err := refused.Result(ctx, nil); !errors.Is(err, ErrRejected) {
		t.Fatalf("got %v", err)
	}
}

func TestACancelledWaitAtAProjectorLeavesNothing(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	_, api := startProjected(t, c)
	func() {
		run := begin(ctx, t, api, "1")
		if err := run.Result(within(t, time.Millisecond), nil); !errors.Is(err, ErrTimeout) {
			t.Fatalf("got %v", err)
		}
	}()
	nothingWaits(ctx, t, api)
}

// A feed for which nobody waits ends, and begins again with the next wait.
func TestFeedsRest(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	p, api := startProjected(t, c)
	for i := range 2 {
		run := begin(ctx, t, api, strconv.Itoa(i))
		if err := run.Signal(ctx, "finish", i); err != nil {
			t.Fatal(err)
		}
		if got, err := Result[int](ctx, run); err != nil || got != i {
			t.Fatalf("got %d, %v", got, err)
		}
		f, err := api.feed("order")
		if err != nil {
			t.Fatal(err)
		}
		f.idle.Reset(time.Millisecond)
		for feeds := 1; feeds > 0; kafka.Pause(ctx, time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatal("it is still there")
			}
			api.mu.Lock()
			feeds = len(api.feeds)
			api.mu.Unlock()
		}
	}
	if p.streams.Load() != 2 {
		t.Errorf("%d streams", p.streams.Load())
	}
}

// A projector that has no stream of ends is asked for each run.
func TestAProjectorOfBefore(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 60*time.Second)
	p, api := startProjected(t, c)
	next := *p.handler.Load()
	var before http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ends") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
	p.handler.Store(&before)
	run := begin(ctx, t, api, "1")
	if err := run.Signal(ctx, "finish", 7); err != nil {
		t.Fatal(err)
	}
	if got, err := Result[int](ctx, run); err != nil || got != 7 {
		t.Fatalf("got %d, %v", got, err)
	}
	if run.InstanceID() != events.InstanceIDForKey("order", "1") {
		t.Errorf("got %s", run.InstanceID())
	}
}
