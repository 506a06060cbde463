package leattest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
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

// Env is an engine that runs in this process for one test. Its methods fail the
// test when they cannot do what they promise; they are for the test's goroutine.
type Env struct {
	t       testing.TB
	virtual bool
	began   time.Time
	logger  *slog.Logger
	broker  *devkafka.Broker
	kafka   kafka.Config
	remove  func() // the network's name
	router  *router.Router
	engine  *process
	client  *client.Client
	worker  *process // runs handlers; nil before it is needed
	others  []*process

	handlers map[string]executor.Handler
	types    []string // that were deployed
}

// Start starts an engine for the test and its subtests, in real time: a broker on
// a free port of this machine, a router, and an executor for what [Env.Handle]
// names. It is there when Start returns, and gone when the test ends. Nothing is
// kept, and two engines know nothing of each other.
func Start(t testing.TB) *Env {
	t.Helper()
	return start(t, nil)
}

// numbers names the engines of this process apart.
var numbers atomic.Int64

func start(t testing.TB, network *devkafka.Network) *Env {
	t.Helper()
	e := &Env{t: t, virtual: network != nil, began: time.Now(), handlers: make(map[string]executor.Handler), remove: func() {}}
	e.logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	options := devkafka.Options{Partitions: partitions, Logger: e.logger}
	if e.virtual {
		options.Addr, options.Network = fmt.Sprintf("leattest-%d.invalid:9092", numbers.Add(1)), network
		e.remove = kafka.Within(options.Addr, network)
	}
	var err error
	if e.broker, err = devkafka.Start(options); err != nil {
		e.remove()
		t.Fatalf("leattest: the broker does not start: %v", err)
	}
	t.Cleanup(e.close)
	e.kafka = kafka.Config{Brokers: e.Brokers(), ClientID: "leattest", Logger: e.logger}
	r, err := router.New(router.Config{Kafka: e.kafka, Slot: "leattest", Logger: e.logger})
	if err != nil {
		t.Fatalf("leattest: the router does not start: %v", err)
	}
	e.engine = e.launch("router", r.Run)
	e.router = r
	if e.client, err = client.New(client.Config{Brokers: e.Brokers(), ClientID: "leattest", Logger: e.logger}); err != nil {
		t.Fatalf("leattest: %v", err)
	}
	return e
}

// partitions of the topics in a test: what is in one is decided in order.
const partitions = 1

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
			e.t.Errorf("leattest: the %s ended by itself", name)
		}
	}()
	return p
}

func (p *process) end() {
	if p != nil {
		p.stop()
		<-p.ended
	}
}

func (e *Env) close() {
	if e.t.Failed() {
		e.explain()
	}
	var ending sync.WaitGroup
	for _, p := range append(e.others, e.worker) {
		ending.Go(p.end)
	}
	ending.Wait()
	if e.client != nil {
		e.client.Close()
	}
	e.engine.end()
	if err := e.broker.Close(); err != nil {
		e.t.Errorf("leattest: the broker does not stop: %v", err)
	}
	e.remove()
}

// Brokers is where Kafka clients of this process find the broker. In virtual time
// only the clients of pkg/client and pkg/executor do.
func (e *Env) Brokers() []string { return []string{e.broker.Addr()} }

// Client speaks to the engine. It is closed when the test ends.
func (e *Env) Client() *client.Client {
	e.t.Helper()
	e.work()
	return e.client
}

// Deploy deploys definitions, each from a file.
func (e *Env) Deploy(files ...string) {
	e.t.Helper()
	for _, file := range files {
		source, err := os.ReadFile(file) //nolint:gosec // a test names its files
		if err != nil {
			e.t.Fatalf("leattest: deploy: %v", err)
		}
		e.deploy(file, source)
	}
}

// DeploySource deploys a definition that is in the test's own text.
func (e *Env) DeploySource(source string) {
	e.t.Helper()
	e.deploy("definition.yaml", []byte(source))
}

func (e *Env) deploy(name string, source []byte) {
	e.t.Helper()
	d, err := e.client.Deploy(context.Background(), client.DeployRequest{Name: name, Source: source, Partitions: partitions})
	if err != nil {
		e.t.Fatalf("leattest: deploy: %v", err)
	}
	if !slices.Contains(e.types, d.WorkflowType) {
		e.types = append(e.types, d.WorkflowType)
	}
	e.work()
	e.settle(e.router.Ready)
}

// Handle runs the tasks of a name with h.
func (e *Env) Handle(name string, h executor.Handler) {
	e.t.Helper()
	e.handlers[name] = h
	if e.worker != nil {
		e.worker.end()
		e.worker = nil
		e.work()
	}
}

// work runs the handlers.
func (e *Env) work() {
	e.t.Helper()
	if e.worker != nil || len(e.handlers) == 0 {
		return
	}
	w, err := executor.New(executor.Config{Brokers: e.Brokers(), NodeID: "leattest", Logger: e.logger, DrainTimeout: time.Second})
	if err != nil {
		e.t.Fatalf("leattest: %v", err)
	}
	for name, h := range e.handlers {
		w.Handle(name, h)
	}
	e.worker = e.launch("executor", w.Run)
	e.settle(w.Ready)
}

// settle waits until the engine has nothing left to do by itself, so that the test
// does not meet it while it starts.
func (e *Env) settle(ready func() error) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for err := ready(); err != nil; err = ready() {
		if kafka.Pause(ctx, 2*time.Millisecond); ctx.Err() != nil {
			e.t.Fatalf("leattest: not ready after %s: %v", patience, err)
		}
	}
	if e.virtual {
		time.Sleep(calm)
	}
}

const (
	patience = 30 * time.Second
	// calm is virtual time: after it nothing of what was done before goes on.
	calm = 10 * time.Second
)

func (e *Env) explain() {}
