package kafkatest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// orphanEnv makes this test binary start a broker and wait to be killed.
const orphanEnv = "LEAT_KAFKATEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		b, err := Start(context.Background(), Options{Dir: os.Getenv(orphanEnv)})
		fmt.Println(b.Addr(), err)
		select {}
	}
	os.Exit(Main(m))
}

func needJars(t *testing.T) context.Context {
	t.Helper()
	if err := checkJars(t.Context()); err != nil {
		if os.Getenv(RequireEnv) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(ctx context.Context, t *testing.T, opts Options) *Broker {
	t.Helper()
	began := time.Now()
	b, err := Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	t.Logf("started %s after %v", b.Addr(), time.Since(began).Round(time.Millisecond))
	return b
}

// transact sends one record in a transaction and ends it.
func transact(ctx context.Context, t *testing.T, seeds []string, topic, value string, how kgo.TransactionEndTry) {
	t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := p.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := p.EndTransaction(ctx, how); err != nil {
		t.Fatal(err)
	}
}

// committed reads n records of topic the way a consumer of a worker does.
func committed(ctx context.Context, t *testing.T, seeds []string, topic string, n int) []string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for len(got) < n {
		fs := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %q, then: %v", got, ctx.Err())
		}
		fs.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return got
}

func createTopic(ctx context.Context, t *testing.T, seeds []string, topic string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

func TestDataOutlivesStopAndKill(t *testing.T) {
	ctx := needJars(t)
	b := start(ctx, t, Options{Properties: map[string]string{
		"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500", // see Kill
	}})
	seeds, topic := []string{b.Addr()}, "outlives"
	createTopic(ctx, t, seeds, topic)
	transact(ctx, t, seeds, topic, "aborted", kgo.TryAbort)
	want := []string{"committed"}
	transact(ctx, t, seeds, topic, want[0], kgo.TryCommit)
	check := func() {
		t.Helper()
		if got := committed(ctx, t, seeds, topic, len(want)); !slices.Equal(got, want) {
			t.Fatalf("read %q, want %q", got, want)
		}
	}
	check()

	for _, crash := range []struct {
		name string
		end  func()
	}{{"stop", b.Stop}, {"kill", b.Kill}, {"nothing", func() {}}} {
		name, began := crash.name, time.Now()
		crash.end()
		ended := time.Now()
		if err := b.Restart(ctx); err != nil {
			t.Fatalf("restart after %s: %v", name, err)
		}
		t.Logf("%s took %v, the restart %v", name, ended.Sub(began).Round(time.Millisecond),
			time.Since(ended).Round(time.Millisecond))
		check()
		transact(ctx, t, seeds, topic, "after "+name, kgo.TryCommit)
		want = append(want, "after "+name)
		check()
	}

	b.Close()
	if exists(b.Dir()) {
		t.Errorf("Close left %s", b.Dir())
	}
}

func TestDirAndPortAreKept(t *testing.T) {
	ctx := needJars(t)
	port, err := freePort(ctx)
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Dir: t.TempDir(), Port: port, Properties: map[string]string{"num.partitions": "3"}}
	first := start(ctx, t, opts)
	seeds := []string{first.Addr()}
	createTopic(ctx, t, seeds, "kept")
	transact(ctx, t, seeds, "kept", "v", kgo.TryCommit)
	first.Close()
	second := start(ctx, t, opts)
	if first.Addr() != second.Addr() {
		t.Errorf("address was %s, is %s", first.Addr(), second.Addr())
	}
	if got := committed(ctx, t, seeds, "kept", 1); got[0] != "v" {
		t.Errorf("read %q, want v", got)
	}
}

func TestStartSaysWhyItFailed(t *testing.T) {
	ctx := needJars(t)
	_, err := Start(ctx, Options{Properties: map[string]string{"process.roles": "cook"}})
	if err == nil || !strings.Contains(err.Error(), "cook") {
		t.Errorf("error %v does not tell of the wrong setting", err)
	}
}

// A broker left behind by a killed test run would hold memory and ports for ever.
func TestBrokerDiesWithItsProcess(t *testing.T) {
	ctx := needJars(t)
	parent := exec.CommandContext(ctx, os.Args[0])
	parent.Env = append(os.Environ(), orphanEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, "<nil>\n") {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	conn, err := net.Dial("tcp", strings.Fields(line)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	// The broker says nothing unasked, so a read ends only when the broker does.
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Fatalf("the broker lives on: read: %v", err)
	}
}

func TestJavaMajor(t *testing.T) {
	for out, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nmore": 17,
		`openjdk version "26" 2026-03-17`:              26,
		`java version "1.8.0_392"`:                     1,
		"no such thing":                                0,
	} {
		if got := javaMajor([]byte(out)); got != want {
			t.Errorf("javaMajor(%q) = %d, want %d", out, got, want)
		}
	}
}
