//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/pkg/topics"
	"github.com/leat-io/leat/test/audit"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withBroker{m}) }

type withBroker struct{ m *testing.M }

func (w withBroker) Run() int {
	defer func() {
		if dir, err := programs(); err == nil {
			os.RemoveAll(dir)
		}
	}()
	return kafkatest.Main(w.m)
}

const (
	patience = 90 * time.Second
	quakes   = 1707
	alerted  = 88 // each has one line in each of the three effect files
	table    = `{"dismissed":28,"unreviewed":456,"alerted":88,"filed":1135}`
	// reviewWithin must be longer than any downtime here, so that it does not
	// decide who was late: a router is missed after 6 s. A signal stands directly
	// behind its start in the log, so only a kill between the two could part them.
	reviewWithin = "15s"
	quakeHistory = "workflow.quake"
	wholeHistory = 12000 // offsets in workflow.quake at the end, about
)

// dice are decided by the seed, which the log names.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LEAT_CHAOS_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("LEAT_CHAOS_SEED: %v", err)
		}
	}
	t.Logf("LEAT_CHAOS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Two routers, two workers and a projector on a real Kafka; one of each is killed
// while the quakes are being decided, and comes back.
func TestWorkersAreKilledInTheMiddle(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real processes on a real Kafka take half a minute")
	}
	brokers := kafkatest.Brokers(t)
	w := watch(t, brokers, quakeHistory)
	if w.written() >= 0 {
		t.Skip("this Kafka has quakes of an earlier run, nothing would happen")
	}
	rng := dice(t)
	dir, seeds := t.TempDir(), strings.Join(brokers, ",")
	api := freeAddr(t)
	router := func(slot string) *program {
		return start(t, "router", "--brokers", seeds, "--slot", slot, "--data", filepath.Join(dir, slot), "--ops-addr", "127.0.0.1:0")
	}
	worker := func() *program {
		return start(t, "quakes", "worker", "--brokers", seeds, "--out", filepath.Join(dir, "out"))
	}
	routers := []*program{router("router-0"), router("router-1")}
	workers := []*program{worker(), worker()}
	projector := start(t, "projector", "--brokers", seeds, "--http", api, "--ops-addr", "127.0.0.1:0", "--data", filepath.Join(dir, "projector"))

	began := time.Now()
	feed := start(t, "quakes", "start", "--brokers", seeds, "--review-within", reviewWithin)
	victims := []*program{routers[rng.IntN(2)], workers[rng.IntN(2)], projector}
	rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	at := int64(0)
	var back sync.WaitGroup
	for _, v := range victims {
		at += 200 + rng.Int64N(wholeHistory/4)
		pause := time.Duration(rng.Int64N(int64(2 * time.Second)))
		got := w.await(at, feed)
		v.Kill()
		t.Logf("killed %s %s after %v, with %d records of history (wanted %d); back in %v",
			v.name, strings.Join(v.args[:min(4, len(v.args))], " "), time.Since(began).Round(time.Millisecond), got, at, pause.Round(time.Millisecond))
		back.Go(func() {
			<-time.NewTimer(pause).C
			v.launch()
		})
	}
	back.Wait()
	select {
	case <-feed.Done():
		if feed.Err() != nil {
			t.Fatalf("quakes start: %v", feed.Err())
		}
	case <-w.ctx.Done():
		t.Fatal("quakes start does not end")
	}
	result := finish(t, w.ctx, start(t, "quakes", "wait", "--brokers", seeds, "--api", "http://"+api, "--timeout", "90s"))
	t.Logf("%s after %v", result, time.Since(began).Round(time.Millisecond))
	checkTable(t, result)
	checkEffects(t, filepath.Join(dir, "out"))
	w.audit()
	for _, p := range append(append(routers, workers...), projector) {
		select {
		case <-p.Done():
			t.Errorf("%s %v ended by itself: %v", p.name, p.args, p.Err())
		default:
		}
	}
}

// The same on one machine: `quakes run` with its own leat dev, all of it killed
// and started again on the same directory.
func TestDevIsKilledInTheMiddle(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real processes take half a minute")
	}
	rng := dice(t)
	dir := t.TempDir()
	args := []string{"run", "--once", "--data", dir, "--review-within", "8s"}
	p := start(t, "quakes", args...) // after the programs are built, which is not waited for with patience
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 2 {
		addr := kafkaOf(ctx, t, p)
		w := watch(t, []string{addr}, quakeHistory)
		at := w.written() + 200 + rng.Int64N(wholeHistory/3)
		got := w.await(at, p)
		p.Kill()
		awaitGone(ctx, t, addr)
		t.Logf("killed after %v, with %d records of history (wanted %d)", time.Since(began).Round(time.Millisecond), got, at)
		p = start(t, "quakes", args...)
	}
	result := finish(t, ctx, p)
	t.Logf("%s after %v", result, time.Since(began).Round(time.Millisecond))
	checkTable(t, result)
	checkEffects(t, filepath.Join(dir, "out"))

	again := finish(t, ctx, start(t, "quakes", args...)) // changes nothing
	checkTable(t, again)
	checkEffects(t, filepath.Join(dir, "out"))
	b, err := devkafka.Start(devkafka.Options{Dir: filepath.Join(dir, "kafka")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	watch(t, []string{b.Addr()}, quakeHistory).audit()
}

// finish waits for a program that prints its results, and returns the last line.
func finish(t *testing.T, ctx context.Context, p *program) string { //nolint:revive // t first, as everywhere here
	t.Helper()
	select {
	case <-p.Done():
	case <-ctx.Done():
		t.Fatalf("%s %s does not end", p.name, p.args[0])
	}
	if p.Err() != nil {
		t.Fatalf("%s %s: %v", p.name, p.args[0], p.Err())
	}
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	return lines[len(lines)-1]
}

func checkTable(t *testing.T, result string) {
	t.Helper()
	var got, want map[string]float64
	if err := errors.Join(json.Unmarshal([]byte(result), &got), json.Unmarshal([]byte(table), &want)); err != nil {
		t.Fatalf("%q: %v", result, err)
	}
	for state, n := range want {
		if got[state] != n {
			t.Errorf("%s: %v, want %v", state, got[state], n)
		}
	}
}

// checkEffects counts what was done to the world: once for each, whatever was
// killed and done again.
func checkEffects(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"notify.jsonl", "map.jsonl", "publish.jsonl"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		keys, ids := make(map[string]int), make(map[string]int)
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			var line struct {
				Key   string `json:"task_key"`
				Quake string `json:"quake"`
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Errorf("%s: %q: %v", name, lines.Text(), err)
			}
			keys[line.Key]++
			ids[line.Quake]++
		}
		if n := bytes.Count(text, []byte("\n")); n != alerted || len(keys) != alerted || len(ids) != alerted {
			t.Errorf("%s has %d lines of %d tasks and %d quakes, want %d of each", name, n, len(keys), len(ids), alerted)
		}
	}
}

// watcher sees how far the quakes are, with nothing of Leat.
type watcher struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // the patience of one test
	brokers []string
	topics  []string // of histories
	admin   *kadm.Client
}

func watch(t *testing.T, brokers []string, histories ...string) *watcher {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &watcher{t, ctx, brokers, histories, kadm.NewClient(client)}
}

// written is how many records the histories have, -1 when there are none.
func (w *watcher) written() (n int64) {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	ends, err := w.admin.ListEndOffsets(ctx, w.topics...)
	if err != nil {
		return -1
	}
	n = -1
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			n = max(n, 0) + o.Offset
		}
	})
	return n
}

// await waits until the history has n records, which by brings about.
func (w *watcher) await(n int64, by *program) (got int64) {
	w.t.Helper()
	gone := by.Done()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if got = w.written(); got >= n {
			return got
		}
		select {
		case <-tick.C:
		case <-gone:
			if by.Err() != nil {
				w.t.Fatalf("the history has %d records, want %d: %s ended with %v", got, n, by.name, by.Err())
			}
			gone = nil // it has done its part
		case <-w.ctx.Done():
			w.t.Fatalf("the history has %d records, want %d", got, n)
		}
	}
}

func (w *watcher) audit() {
	w.t.Helper()
	began := time.Now()
	b, err := audit.Await(w.ctx, w.brokers, topics.Names{}, "quake", func(b *audit.Books) error {
		if n := b.Finished(); n != quakes {
			return fmt.Errorf("%d of %d have finished", n, quakes)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, wrong := range b.Wrong() {
		w.t.Errorf("audit: %s", wrong)
	}
	if len(b.Dead) > 0 {
		w.t.Errorf("dead letters: %v", b.Dead)
	}
	w.t.Logf("audited %d histories, %d commands, %d tasks in %v", len(b.Events), len(b.Commands), len(b.Tasks), time.Since(began).Round(time.Millisecond))
}

var kafkaAddr = regexp.MustCompile(`Kafka (127\.0\.0\.1:\d+)`)

// kafkaOf reads from what `quakes run` says where its Kafka is.
func kafkaOf(ctx context.Context, t *testing.T, p *program) string {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if found := kafkaAddr.FindStringSubmatch(p.log.String()); found != nil {
			return found[1]
		}
		select {
		case <-tick.C:
		case <-p.Done():
			t.Fatalf("quakes run ended: %v", p.Err())
		case <-ctx.Done():
			t.Fatal("quakes run does not say where its Kafka is")
		}
	}
}

// awaitGone waits until nobody listens any more: the kernel ends leat dev when
// the process that made it is gone.
func awaitGone(ctx context.Context, t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("somebody still listens on %s", addr)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
