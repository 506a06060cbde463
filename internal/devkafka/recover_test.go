package devkafka

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const killParts = 8

// writer commits transactions that put the same value into every partition, and
// tells which were acknowledged.
type writer struct {
	client *kgo.Client
	acked  map[string]bool // by value: whether it was committed
	next   int
}

func (w *writer) commit(ctx context.Context) error {
	value := fmt.Sprint("t", w.next)
	w.next++
	abort := w.next%5 == 0
	if err := w.client.BeginTransaction(); err != nil {
		return err
	}
	for p := range int32(killParts) {
		w.client.Produce(ctx, &kgo.Record{Topic: "a", Partition: p, Value: []byte(value)}, nil)
	}
	if err := w.client.Flush(ctx); err != nil {
		return err
	}
	if err := w.client.EndTransaction(ctx, kgo.TransactionEndTry(!abort)); err != nil {
		return err
	}
	w.acked[value] = !abort
	return nil
}

// A broker that is killed again and again, at any moment of a transaction,
// keeps what it acknowledged, brings no aborted record back, and commits no
// transaction in part.
func TestKillUnderLoad(t *testing.T) {
	dir := t.TempDir()
	acked, next := make(map[string]bool), 0
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	if n, err := strconv.Atoi(os.Getenv("LEAT_TEST_KILLS")); err == nil {
		rounds = n
	}
	var closing sync.WaitGroup // a client whose broker is gone takes a second to close
	defer closing.Wait()
	for round := range rounds {
		cmd, addr := spawn(t, dir)
		if round == 0 {
			createTopic(t, addr, killParts)
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("w"), kgo.ProducerLinger(0),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		w := &writer{client: client, acked: acked, next: next}
		ctx, cancel := context.WithCancel(t.Context())
		var dying atomic.Bool
		time.AfterFunc(50*time.Millisecond+rand.N(100*time.Millisecond), func() {
			dying.Store(true)
			_ = cmd.Process.Kill()
			cancel()
		})
		for ctx.Err() == nil {
			if err := w.commit(ctx); err != nil && !dying.Load() {
				t.Errorf("before the kill: %v", err)
				break
			}
		}
		<-ctx.Done()
		next = w.next
		_ = cmd.Wait()
		closing.Go(client.Close)
	}
	b := start(t, Options{Dir: dir})
	check(t, readAll(t, b.Addr()), acked)
	t.Logf("%d transactions, %d acknowledged, %d kills", next, len(acked), rounds)
}

func check(t *testing.T, found map[int32][]string, acked map[string]bool) {
	t.Helper()
	count := make(map[string]int)
	for p := range int32(killParts) {
		for _, v := range found[p] {
			count[v]++
		}
	}
	for v, n := range count {
		if n != killParts {
			t.Errorf("transaction %s is in %d of %d partitions", v, n, killParts)
		}
	}
	for v, committed := range acked {
		if committed && count[v] == 0 {
			t.Errorf("transaction %s was acknowledged and is lost", v)
		}
		if !committed && count[v] > 0 {
			t.Errorf("transaction %s was aborted and came back", v)
		}
	}
}

// The crash between two markers, without luck: the marker of partition 1 and
// the end in pids.log are cut off again.
func TestHalfEndedTransactionIsEndedTheSameWay(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprint("commit=", commit), func(t *testing.T) {
			dir := t.TempDir()
			b := start(t, Options{Dir: dir})
			createTopic(t, b.Addr(), killParts)
			w := newClient(t, b.Addr(), kgo.TransactionalID("w"))
			if err := w.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for p := range int32(killParts) {
				if err := w.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Partition: p, Value: []byte("x")}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			root := filepath.Join(dir, logDir)
			before := sizes(t, root)
			if err := w.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
				t.Fatal(err)
			}
			after := sizes(t, root)
			w.Close()
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			for path, size := range after {
				if path == "pids.log" || filepath.Dir(path) == filepath.Join("partitions", "a-1") {
					truncate(t, filepath.Join(root, path), min(size, before[path]))
				}
			}
			crashed(t, dir)
			b = start(t, Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
			want := 0
			if commit {
				want = 1
			}
			got := readAll(t, b.Addr())
			for p := range int32(killParts) {
				if len(got[p]) != want {
					t.Errorf("partition %d holds %v, want %d values", p, got[p], want)
				}
			}
			// A client that outlived the broker is fenced; a new one goes on.
			w2 := newClient(t, b.Addr(), kgo.TransactionalID("w"))
			if err := w2.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := w2.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Partition: 1, Value: []byte("y")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := w2.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, b.Addr())[1]; len(got) != want+1 {
				t.Errorf("after one more transaction partition 1 holds %v", got)
			}
		})
	}
}

// crashed makes a directory look as after a kill.
func crashed(t *testing.T, dir string) {
	t.Helper()
	_ = os.Remove(filepath.Join(dir, cleanFile))
	snapshots, err := filepath.Glob(filepath.Join(dir, logDir, "partitions", "*", "snapshot.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(snapshots, filepath.Join(dir, logDir, "session_state.json"), filepath.Join(dir, logDir, "seq_windows.json")) {
		_ = os.Remove(s)
	}
}

func sizes(t *testing.T, root string) map[string]int64 {
	t.Helper()
	out := make(map[string]int64)
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			rel, _ := filepath.Rel(root, path)
			out[rel] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// What a crash leaves at the end of a file is cut off, whatever it is.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	b := start(t, Options{Dir: dir})
	createTopic(t, b.Addr(), 1)
	c := newClient(t, b.Addr())
	for i := range 3 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	crashed(t, dir)
	log := filepath.Join(dir, logDir, "partitions", "a-0", "0.dat")
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	third := len(whole) / 3
	if err := os.WriteFile(log, append(slices.Clone(whole), whole[:third/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	truncate(t, filepath.Join(dir, logDir, "partitions", "a-0", "0.idx"), 17)
	b = start(t, Options{Dir: dir})
	if got := readAll(t, b.Addr())[0]; !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Fatalf("found %v", got)
	}
}
