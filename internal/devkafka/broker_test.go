package devkafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// childDir makes the test binary a broker process instead.
const childDir = "LEAT_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// child serves dir until its standard input ends.
func child(dir string) int {
	b, err := Start(Options{Dir: dir})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println(b.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := b.Close(); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// spawn starts a broker process and gives its address.
func spawn(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("broker process said %q, %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

func start(t *testing.T, o Options) *Broker {
	t.Helper()
	b, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func newClient(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// topic is the one that these tests write to.
const topic = "a"

func createTopic(t *testing.T, addr string, partitions int32) {
	t.Helper()
	admin := kadm.NewClient(newClient(t, addr))
	if _, err := admin.CreateTopic(t.Context(), partitions, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

// readAll gives the committed values of each partition, after a check that no
// transaction is left open.
func readAll(t *testing.T, addr string) map[int32][]string {
	t.Helper()
	c := newClient(t, addr, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	admin := kadm.NewClient(c)
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	stable, err := admin.ListCommittedOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if s, _ := stable.Lookup(topic, o.Partition); s.Offset != o.Offset {
			t.Errorf("partition %d is stable up to %d of %d: a transaction is left open", o.Partition, s.Offset, o.Offset)
		}
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	values := make(map[int32][]string)
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read %s: %v; left %v", topic, err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				values[r.Partition] = append(values[r.Partition], string(r.Value))
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return values
}

func TestDataSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, Options{Dir: dir})
	createTopic(t, b.Addr(), 2)
	c := newClient(t, b.Addr())
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Partition: 1, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, Options{Dir: dir})
	if got := readAll(t, b.Addr()); len(got[1]) != 1 || got[1][0] != "x" {
		t.Fatalf("after a restart the topic holds %v", got)
	}
}

func TestMemoryLeavesNothing(t *testing.T) {
	b := start(t, Options{})
	createTopic(t, b.Addr(), 1)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatalf("closing again: %v", err)
	}
}

func TestDirectoryIsHeldOnce(t *testing.T) {
	dir := t.TempDir()
	cmd, _ := spawn(t, dir)
	_, err := Start(Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
		t.Fatalf("a second process got %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	start(t, Options{Dir: dir}) // the lock died with its holder
}

func TestNewerDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, formatFile), []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(Options{Dir: dir})
	var newer *VersionError
	if !errors.As(err, &newer) || newer.Found != 99 || newer.Highest != format {
		t.Fatalf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	_, err = Start(Options{Dir: dir, Addr: taken.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken address gives %v", err)
	}
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:9092", "nonsense"} {
		var bad *AddrError
		if _, err := Start(Options{Addr: addr}); !errors.As(err, &bad) || bad.Addr != addr {
			t.Errorf("%s gives %v", addr, err)
		}
	}
	b := start(t, Options{Addr: "0.0.0.0:0", Remote: true})
	if host, _, _ := net.SplitHostPort(b.Addr()); host == "0.0.0.0" || host == "::" {
		t.Errorf("clients are sent to %s", b.Addr())
	}
	start(t, Options{Dir: dir}) // the failed start gave the lock back
}

func TestVirtualNetwork(t *testing.T) {
	asked := ""
	b := start(t, Options{Addr: "127.0.0.1:1234", Listen: func(network, address string) (net.Listener, error) {
		asked = address
		return net.Listen(network, "127.0.0.1:0")
	}})
	createTopic(t, b.Addr(), 1)
	if asked != "127.0.0.1:1234" {
		t.Fatalf("asked for %q", asked)
	}
}
