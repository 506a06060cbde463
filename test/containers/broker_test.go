package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// programEnv makes this test binary the program itself.
const programEnv = "LEAT_TEST_CONTAINER_IMAGE"

func TestMain(m *testing.M) {
	if image := os.Getenv(programEnv); image != "" {
		if err := run(image); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func needImage(t *testing.T) string {
	t.Helper()
	image := os.Getenv("TEST_BROKER_IMAGE")
	if image == "" {
		t.Skip("no image: with Docker, set TEST_BROKER_IMAGE=apache/kafka:4.3.1 or a Redpanda image; `make test-containers` does")
	}
	return image
}

// When a test is killed, all that the program gets to know is that its pipes
// are closed. The container must go then, or every killed run leaves one.
func TestContainerGoesWithItsStarter(t *testing.T) {
	image := needImage(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), programEnv+"="+image)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe() // as stdout and stderr, so that closing it breaks both
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var addr string
	var log strings.Builder
	for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if a, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			addr = a
		}
	}
	if addr == "" {
		t.Fatalf("not ready: %v\n%s", cmd.Wait(), &log)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out.Close()
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the program: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the broker lives on: read: %v", err)
	}
}

// The container's broker must make a topic, abort and commit, and show a
// consumer only what was committed.
func TestTransaction(t *testing.T) {
	image := needImage(t)
	began := time.Now()
	step := func(s string) { t.Logf("%-20s +%v", s, time.Since(began).Round(time.Millisecond)) }
	b, err := start(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.remove(); err != nil {
			t.Error(err)
		}
	})
	step(image + " ready")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const topic = "it"

	p, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.TransactionalID(topic), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := kadm.NewClient(p).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	step("topic created")
	send := func(value string, how kgo.TransactionEndTry) {
		t.Helper()
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := p.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := p.EndTransaction(ctx, how); err != nil {
			t.Fatal(err)
		}
		step(value)
	}
	send("aborted", kgo.TryAbort)
	send("committed", kgo.TryCommit)

	c, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for len(got) == 0 {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	step("read")
	if fmt.Sprint(got) != "[committed]" {
		t.Fatalf("read %v, want [committed]", got)
	}
}
