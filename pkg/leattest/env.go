package leattest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/executor"
)

// Env is an engine that runs in this process, for one test. Its methods end the
// test when they cannot do what they say, and so are for the test's own
// goroutine; what Client and Brokers give is for any.
type Env struct {
	t       testing.TB
	network *devkafka.Network // nil in real time
	began   time.Time
	logger  *slog.Logger
	broker  *devkafka.Broker
	remove  func() // of the broker from the process's networks
	kafka   kafka.Config
	client  *client.Client // the test's
	own     *client.Client // the env's

	router   *router.Router
	routing  *process
	handlers map[string]executor.Handler
	calls    calls
	working  *process   // runs the handlers; nil while they are not needed
	others   []*process // of Run
	types    []string   // that were deployed here
}

// Start starts an engine for the test and its subtests, in real time: a broker on
// a free port of this machine, a router, and an executor with the handlers of
// [Env.Handle]. It works when Start returns, and is gone when the test has ended.
// Nothing is kept. Engines are independent of each other: tests may run in parallel.
func Start(t testing.TB) *Env {
	t.Helper()
	return start(t, nil)
}

// engines numbers those of this process, to name brokers in virtual time.
var engines atomic.Int64

const (
	// partitions of a topic: what happens to a type is decided in one order.
	partitions = 1
	// patience is how long the engine may take for what takes some milliseconds on
	// an idle machine.
	patience = 30 * time.Second
	// calm is virtual time, after which nothing goes on of what was done before.
	calm = 10 * time.Second
)

func start(t testing.TB, network *devkafka.Network) *Env {
	t.Helper()
	e := &Env{t: t, network: network, began: time.Now(), handlers: make(map[string]executor.Handler), remove: func() {}}
	e.logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	options := devkafka.Options{Partitions: partitions, Logger: e.logger}
	if network != nil {
		options.Addr, options.Network = fmt.Sprintf("leattest-%d.invalid:9092", engines.Add(1)), network
		e.remove = kafka.Within(options.Addr, network)
	}
	var err error
	if e.broker, err = devkafka.Start(options); err != nil {
		e.remove()
		t.Fatalf("leattest: the broker does not start: %v", err)
	}
	t.Cleanup(e.close)
	e.kafka = kafka.Config{Brokers: e.Brokers(), ClientID: "leattest", Logger: e.logger}
	if e.router, err = router.New(router.Config{Kafka: e.kafka, Slot: "leattest", Logger: e.logger}); err != nil {
		t.Fatalf("leattest: the router does not start: %v", err)
	}
	e.routing = e.launch("router", e.router.Run)
	for _, c := range []**client.Client{&e.client, &e.own} {
		if *c, err = client.New(client.Config{
			Brokers: e.Brokers(), ClientID: "leattest", Logger: e.logger,
			RouterTimeout: patience, // the router is in this process, which may have much else to do
		}); err != nil {
			t.Fatalf("leattest: %v", err)
		}
	}
	e.settle(e.router.Ready)
	return e
}

// Brokers is where the broker is, for clients and executors of the test's own. In
// virtual time only those of pkg/client and pkg/executor that are made within the
// test find it.
func (e *Env) Brokers() []string { return []string{e.broker.Addr()} }

// Client speaks to the engine. It is closed when the test ends.
func (e *Env) Client() *client.Client {
	e.t.Helper()
	e.work()
	return e.client
}

// Run runs something besides until the test ends, such as an executor that the
// test has made of its own: env.Run(w.Run). ctx ends then, and run must return nil.
func (e *Env) Run(run func(ctx context.Context) error) {
	e.t.Helper()
	e.others = append(e.others, e.launch("function that was given to Run", run))
	e.settle(func() error { return nil })
}

// settle waits until the engine is ready and, in virtual time, at rest, so that no
// test meets it while it starts.
func (e *Env) settle(ready func() error) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for err := ready(); err != nil; err = ready() {
		if kafka.Pause(ctx, 2*time.Millisecond); ctx.Err() != nil {
			e.t.Fatalf("leattest: the engine is not ready after %s: %v", patience, err)
		}
	}
	if e.network != nil {
		time.Sleep(calm)
	}
}

// process is something that runs until it is stopped.
type process struct {
	stop  context.CancelFunc
	ended chan struct{}
}

func (e *Env) launch(name string, run func(context.Context) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		err := run(ctx)
		switch {
		case err != nil:
			e.t.Errorf("leattest: the %s ended: %v", name, err)
		case ctx.Err() == nil:
			e.t.Errorf("leattest: the %s ended before the test", name)
		}
	}()
	return p
}

// end waits until p has ended. A nil one has.
func (p *process) end() {
	if p != nil {
		p.stop()
		<-p.ended
	}
}

// close ends everything; the broker last, because all others say good-bye to it.
func (e *Env) close() {
	if e.t.Failed() && e.own != nil {
		e.explain()
	}
	var ending sync.WaitGroup
	for _, p := range append(e.others, e.working) {
		ending.Go(p.end)
	}
	ending.Wait()
	for _, c := range []*client.Client{e.client, e.own} {
		if c != nil {
			c.Close()
		}
	}
	e.routing.end()
	if err := e.broker.Close(); err != nil {
		e.t.Errorf("leattest: the broker does not stop: %v", err)
	}
	e.remove()
}
