package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/test/audit"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

const step = `
leat: v1
type: step
version: 1
initial: working
states:
  working:
    invoke: {task: step.work, timeout: 20s, onDone: done, onError: failed}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// load starts instances, one each few milliseconds, until stopped. What fails is
// asked for again.
type load struct {
	acked atomic.Int64
	stop  func() (started int)
}

func (w *world) load(every time.Duration) *load {
	w.Helper()
	return w.loadOf(every, func(n int) client.StartRequest { return client.StartRequest{Type: "step", Key: fmt.Sprint("k", n)} })
}

func (w *world) loadOf(every time.Duration, request func(n int) client.StartRequest) *load {
	w.Helper()
	l := &load{}
	life, end := context.WithCancel(w.ctx)
	ctx, cancel := context.WithCancel(life)
	var all sync.WaitGroup
	started := 0
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				started++
				start := request(started)
				all.Go(func() { // a start that was not acknowledged is asked for again
					for life.Err() == nil {
						if _, err := w.direct.Start(life, start); err == nil {
							l.acked.Add(1)
							return
						} else if !errors.Is(err, client.ErrUnavailable) && life.Err() == nil {
							w.Errorf("start %s: %v", start.Key, err)
							return
						}
					}
				})
			}
		}
	})
	l.stop = sync.OnceValue(func() int {
		cancel()
		all.Wait()
		return started
	})
	w.Cleanup(func() { end(); l.stop() })
	return l
}

// more waits until n more starts are acknowledged.
func (l *load) more(w *world, n int64) {
	w.Helper()
	want := l.acked.Load() + n
	w.until(func() error {
		if got := l.acked.Load(); got < want {
			return fmt.Errorf("%d of %d starts are acknowledged", got, want)
		}
		return nil
	})
}

// pair starts two routers and returns when both decide.
func (w *world) pair() (first, second *worker) {
	w.Helper()
	var commits [2]atomic.Int64
	counted := func(n *atomic.Int64) func(*router.Config) {
		return func(c *router.Config) {
			c.Metrics.Committed = func(int, int, int, time.Duration) { n.Add(1) }
		}
	}
	first, _ = w.router("r1", counted(&commits[0]))
	second, _ = w.router("r2", counted(&commits[1]))
	w.until(func() error {
		if a, b := commits[0].Load(), commits[1].Load(); a < 5 || b < 5 {
			return fmt.Errorf("one has committed %d times, the other %d times", a, b)
		}
		return nil
	})
	return first, second
}

// silence is the longest time in which a partition's history did not go on
// although somebody asked for it to.
func silence(b *audit.Books) (longest time.Duration) {
	before := make(map[int32]time.Time)
	type decided struct {
		at        time.Time
		partition int32
	}
	byOffset := make(map[int32]map[int64]time.Time)
	for _, list := range b.Events {
		for i := range list {
			if byOffset[list[i].Partition] == nil {
				byOffset[list[i].Partition] = make(map[int64]time.Time)
			}
			byOffset[list[i].Partition][list[i].Offset] = list[i].Timestamp
		}
	}
	for p, at := range byOffset {
		last := int64(0)
		for offset := range at {
			last = max(last, offset)
		}
		for offset := range last + 1 {
			d := decided{at[offset], p}
			if d.at.IsZero() {
				continue
			}
			if gap := d.at.Sub(before[p]); !before[p].IsZero() {
				longest = max(longest, gap)
			}
			before[p] = d.at
		}
	}
	return longest
}

// A router that stops gives its partitions to the other one at once.
func TestARouterThatStopsHandsOver(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(step)
		w.executor(map[string]executor.Handler{"step.*": succeed(nil)})
		l := w.load(10 * time.Millisecond)
		first, _ := w.pair()
		began := time.Now()
		first.stop()
		w.Logf("the stop took %v", time.Since(began).Round(time.Millisecond))
		l.more(w, 100)
		n := l.stop()
		b := w.audit(finished(n))
		w.Logf("%d instances; the longest silence of a partition was %v", n, silence(b).Round(time.Millisecond))
	})
}

// A router that dies is missed when its session ends; nothing is lost or doubled.
func TestARouterThatDiesIsReplaced(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(step)
		w.executor(map[string]executor.Handler{"step.*": succeed(nil)})
		l := w.load(20 * time.Millisecond)
		first, _ := w.pair()
		first.kill()
		l.more(w, 50)
		n := l.stop()
		b := w.audit(finished(n))
		w.Logf("%d instances; the longest silence of a partition was %v", n, silence(b).Round(time.Millisecond))
	})
}

// A router that comes back into its slot goes on where it was killed.
func TestARouterThatDiesComesBack(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(step)
		w.executor(map[string]executor.Handler{"step.*": succeed(nil)})
		l := w.load(10 * time.Millisecond)
		done := 0
		for range 3 {
			r, _ := w.router("r1")
			w.until(func() error {
				b, err := audit.Read(w.ctx, w.kafka.Brokers, w.names, "step")
				if err != nil {
					return err
				}
				if b.Finished() < done+25 {
					return fmt.Errorf("%d have finished, there were %d before", b.Finished(), done)
				}
				done = b.Finished()
				return nil
			})
			r.kill()
		}
		w.router("r1")
		n := l.stop()
		b := w.audit(finished(n))
		w.Logf("%d instances; the longest silence of a partition was %v", n, silence(b).Round(time.Millisecond))
	})
}

// breakable is a broker that can go away and come back.
type breakable struct {
	addr  string
	stop  func()
	start func()
}

func breakableEmbedded(t *testing.T) breakable {
	t.Helper()
	dir := t.TempDir()
	var b *devkafka.Broker
	o := devkafka.Options{Dir: dir}
	stop := func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	start := func() {
		var err error
		if b, err = devkafka.Start(o); err != nil {
			t.Fatal(err)
		}
	}
	start()
	o.Addr = b.Addr()
	t.Cleanup(func() { stop() })
	return breakable{o.Addr, stop, start}
}

func needJava(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil && os.Getenv(kafkatest.RequireEnv) != "1" {
		t.Skip("a broker of the test's own needs Java: ", err)
	}
}

func breakableReal(t *testing.T) breakable {
	t.Helper()
	needJava(t)
	// It is killed in the middle of transactions, and forgets the ends of some of
	// them (docs/adr/0010-forgotten-markers.md).
	b, err := kafkatest.Start(t.Context(), kafkatest.Options{
		Properties: map[string]string{"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return breakable{b.Addr(), b.Kill, func() {
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}}
}

// A broker that is away, at the start or later: the workers say so, are not
// ready, and go on when it is back. Nothing is lost.
func TestTheBrokerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(*testing.T) breakable{"embedded": breakableEmbedded, "real": breakableReal} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "real" && testing.Short() {
				t.Skip("-short: the real broker takes seconds to start")
			}
			broker := build(t)
			broker.stop()
			w := newWorld(t, []string{broker.addr})
			log := &safeBuffer{}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(log.String())
				}
			})
			w.logger = slog.New(slog.NewTextHandler(log, nil))
			_, r := w.router("r1")
			_, p := w.projector()
			w.executor(map[string]executor.Handler{"step.*": succeed(nil)})
			w.until(func() error { return log.says("kafka does not answer", broker.addr) })
			if r.Ready() == nil || p.Ready() == nil {
				t.Error("router or projector are ready without a broker")
			}
			t.Logf("not ready: %v; %v", r.Ready(), p.Ready())

			broker.start()
			w.deploy(step)
			w.until(r.Ready)
			w.until(p.Ready)
			l := w.load(10 * time.Millisecond)
			l.more(w, 50)
			broker.stop()
			w.until(func() error {
				if err := r.Ready(); err != nil {
					t.Logf("not ready: %v", err)
					return nil
				}
				return errors.New("the router is ready without a broker")
			})
			broker.start()
			w.until(r.Ready)
			l.more(w, 50)
			n := l.stop()
			w.audit(finished(n))
			t.Logf("%d instances", n)
		})
	}
}

type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *safeBuffer) says(words ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, word := range words {
		if !strings.Contains(b.text.String(), word) {
			return fmt.Errorf("nobody said %q", word)
		}
	}
	return nil
}
