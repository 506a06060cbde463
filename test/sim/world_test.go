//go:build synctests

package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

const (
	workflowType = "job"
	partitions   = 4
	brokers      = 3
	timerWait    = 3 * time.Second // of the definition's `after`
)

// definition exercises what a lane can do: tasks short and long (claimed), with
// retries and heartbeats, signals counted in whatever state they come, an
// eventless transition, a timer.
const definition = `
leat: v1
type: job
version: 1
input: {type: object, required: [need], properties: {need: {type: integer}}}
data: {n: {type: long, default: 0}}
initial: quick
on:
  more: {assign: {n: data.n + 1}}
states:
  quick:
    invoke:
      task: work.quick
      timeout: {scheduleToStart: 20m, startToClose: 20s}
      retry: {policy: fixed, initial: 300ms, maxAttempts: 500}
      onDone: collecting
      onError: broken
  collecting:
    always: {guard: data.n >= input.need, target: waiting}
  waiting:
    after: {3s: slow}
  slow:
    invoke:
      task: work.slow
      timeout: {startToClose: 30s, heartbeat: 4s}
      retry: {policy: exponential, initial: 200ms, factor: 2, max: 5s, maxAttempts: 500}
      onDone: done
      onError: broken
  done: {type: final, output: {n: data.n}}
  broken: {type: final, outcome: failed}
`

// world is one cluster with its workers and what is known about it from outside.
type world struct {
	t        *testing.T
	seed     uint64
	rng      *rand.Rand // of the nemesis
	cluster  *kfake.Cluster
	network  *network
	names    topics.Names
	seen     *coverage
	safe     kafka.Config // of a host without faults, for deploying and auditing
	logger   *slog.Logger
	workers  sync.WaitGroup
	ledger   *ledger
	routers  []*slot
	executor *slot
	viewer   *slot

	pending []pending            // processes that the nemesis will start
	faults  []*kfake.FaultHandle // that it has installed

	mu   sync.Mutex
	view http.Handler // of the projector that runs
}

func newWorld(t *testing.T, seed uint64, seen *coverage) *world {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &world{
		t: t, seed: seed, rng: rng, seen: seen, ledger: newLedger(),
		network: newNetwork(rand.New(rand.NewPCG(seed, 1)), seen),
		logger:  slog.New(slog.DiscardHandler),
	}
	if verbose() {
		w.logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
		w.network.logger = w.logger
	}
	ports := make([]int, brokers)
	for i := range ports {
		ports[i] = 9092 + i
	}
	options := []kfake.Opt{
		kfake.Ports(ports...), kfake.ListenFn(w.network.virtual.Listen),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
	}
	if seed%4 == 3 { // transaction.version 1, as Redpanda and Kafka before 4.0
		options = append(options, kfake.MaxVersions(kversion.V3_8_0()))
		seen.add("histories with the old transaction protocol")
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	w.cluster = cluster
	w.safe = w.config(w.network.host("safe"))
	w.safe.Dial = w.network.virtual.DialContext
	w.deploy()
	for _, name := range []string{"r0", "r1"} {
		w.routers = append(w.routers, &slot{name: name, skew: time.Duration(rng.IntN(2000)-1000) * time.Millisecond})
	}
	w.executor, w.viewer = &slot{name: "x0"}, &slot{name: "p0"}
	return w
}

func (w *world) config(h *host) kafka.Config {
	return kafka.Config{Brokers: []string{"localhost:9092", "localhost:9093", "localhost:9094"}, ClientID: h.name, Dial: h.dial, Logger: w.logger}
}

func (w *world) deploy() {
	w.t.Helper()
	admin, err := kafka.NewAdmin(w.safe)
	if err != nil {
		w.t.Fatal(err)
	}
	defer admin.Close()
	specs := append(w.names.Shared(), w.names.Type(workflowType, partitions)...)
	if err := admin.Provision(w.t.Context(), -1, specs...); err != nil {
		w.t.Fatal(err)
	}
	value, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: workflowType, Version: 1, Source: definition, Partitions: partitions, DeployedAt: time.Now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	producer, err := kafka.NewProducer(w.safe)
	if err != nil {
		w.t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.Send(w.t.Context(), kafka.NewRecord(w.names.Definitions(), []byte(workflowType+"@1"), value)); err != nil {
		w.t.Fatal(err)
	}
}

// slot is the place of one worker: its name stays the same, the processes in it
// come and go.
type slot struct {
	name  string
	skew  time.Duration // of its clock
	files *store.Files  // of its store, kept over a crash
	host  *host         // of the process that runs; nil when none does
	stop  context.CancelFunc
	ended chan struct{}
}

// launch starts a process in s. run ends when its context does.
func (w *world) launch(s *slot, run func(context.Context, kafka.Config) error) {
	h := w.network.host(s.name)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s.host, s.stop, s.ended = h, cancel, ended
	w.workers.Go(func() {
		defer close(ended)
		for {
			err := run(ctx, w.config(h))
			switch {
			case err == nil || ctx.Err() != nil || h.isDead():
			case errors.Is(err, shard.ErrReplaced):
				// A JoinGroup that its past had sent came late. It says so and ends,
				// and whoever watches over it starts it again.
				w.seen.add("routers replaced by their own past")
				pause(ctx, time.Second)
				continue
			default:
				w.t.Errorf("%s ended by itself: %v", s.name, err)
			}
			return
		}
	})
}

func (w *world) startRouter(s *slot) {
	if s.files == nil {
		s.files = store.NewFiles()
	}
	files, skew := s.files, s.skew
	w.launch(s, func(ctx context.Context, c kafka.Config) error {
		r, err := router.New(router.Config{
			Kafka: c, Slot: s.name, Files: files, Logger: w.logger.With("worker", s.name),
			Clock: func() time.Time { return time.Now().Add(skew) },
			Metrics: router.Metrics{
				Committed: func(int, int, int, time.Duration) { w.seen.add("transactions committed") },
				Aborted: func(stale bool) {
					w.seen.add("transactions failed")
					if stale {
						w.seen.add("transactions fenced")
					}
				},
				Disagreed: func() { w.seen.add("group offset and checkpoint disagreed") },
				Moved:     func() { w.seen.add("commands moved") },
				Restored:  func(int, time.Duration) { w.seen.add("partitions restored") },
				Shard: shardMetrics(func(reopened bool) {
					if reopened {
						w.seen.add("reopenings after an unknown outcome")
					}
				}),
			},
		})
		if err != nil {
			return err
		}
		return r.Run(ctx)
	})
}

func (w *world) startExecutor() {
	w.launch(w.executor, func(ctx context.Context, c kafka.Config) error {
		e, err := executor.New(executor.Config{
			Kafka: c, NodeID: "x0", Concurrency: 8, DrainTimeout: time.Second, Logger: w.logger.With("worker", "x0"),
			Metrics: executor.Metrics{TaskClaimed: func(string) { w.seen.add("tasks claimed") }},
		})
		if err != nil {
			return err
		}
		handler := func(longest time.Duration, failing float64) executor.Handler {
			return func(ctx context.Context, task *events.Task) (json.RawMessage, error) {
				takes, fails := w.network.draw(longest, failing)
				select {
				case <-time.After(takes):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				w.ledger.ran(task)
				if fails {
					w.seen.add("task attempts failed by their handler")
					return nil, &events.Error{Code: "FLAKY", Message: "the world is not perfect", Retryable: true}
				}
				return json.RawMessage(`{"ok":true}`), nil
			}
		}
		if err := errors.Join(
			e.Handle("work.quick", handler(2*time.Millisecond, 0.15)),
			e.Handle("work.slow", handler(6*time.Second, 0.1)),
		); err != nil {
			return err
		}
		return e.Run(ctx)
	})
}

func (w *world) startProjector() {
	w.launch(w.viewer, func(ctx context.Context, c kafka.Config) error {
		p, err := projector.New(projector.Config{Kafka: c, Logger: w.logger.With("worker", "p0")})
		if err != nil {
			return err
		}
		w.mu.Lock()
		if ctx.Err() == nil { // else one that came after it may be asked already
			w.view = p.Handler()
		}
		w.mu.Unlock()
		return p.Run(ctx)
	})
}

// draw says how long a handler takes and whether it fails.
func (n *network) draw(longest time.Duration, failing float64) (takes time.Duration, fails bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(n.rng.Int64N(int64(longest))), n.rng.Float64() < failing
}

// close ends everything that runs in the bubble.
func (w *world) close() {
	for _, s := range w.slots() {
		if s.host != nil {
			s.stop()
		}
	}
	w.workers.Wait()
	w.cluster.Close()
	w.network.carried.Wait()
}

func (w *world) slots() []*slot { return append([]*slot{w.executor, w.viewer}, w.routers...) }

// get asks the projector.
func (w *world) get(path string, into any) error {
	w.mu.Lock()
	view := w.view
	w.mu.Unlock()
	answer := &recorder{header: make(http.Header)}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://projector"+path, nil)
	if err != nil {
		return err
	}
	view.ServeHTTP(answer, r)
	if answer.status != http.StatusOK && answer.status != 0 {
		return fmt.Errorf("GET %s: %d %s", path, answer.status, answer.body.String())
	}
	return json.NewDecoder(strings.NewReader(answer.body.String())).Decode(into)
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

var _ io.Writer = (*recorder)(nil)
