package integration

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

const (
	waiting    = 10_000
	mostMemory = 200_000_000 // of the executor's process, in bytes
	waiterEnv  = "LEAT_TEST_WAITER"
)

// An executor puts ten thousand attempts down and holds nothing for them.
func TestTenThousandWaitingAttempts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts ten thousand instances")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc tells the memory of a process")
	}
	w := newWorld(t, embedded(t))
	w.deploy(patient)
	w.router("r1")
	waiter, lines := w.waiter()
	var group sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		group.Go(func() {
			for n := next.Add(1); n <= waiting; n = next.Add(1) {
				if _, err := w.direct.Start(w.ctx, client.StartRequest{Type: "patient", Key: strconv.FormatInt(n, 10)}); err != nil {
					w.Errorf("start %d: %v", n, err)
					return
				}
			}
		})
	}
	group.Wait()
	if !lines.Scan() || lines.Text() != "all" {
		t.Fatalf("the executor says %q, %v", lines.Text(), lines.Err())
	}
	for _, key := range []string{"1", "5000", "10000"} {
		w.waits(key, events.TaskScheduled)
	}
	most := peakMemory(t, waiter)
	t.Logf("the executor's process used %d MB at most", most/1_000_000)
	allowed := int64(mostMemory)
	if raced {
		allowed *= 4
	}
	if most > allowed {
		t.Errorf("it used %d bytes, at most %d", most, allowed)
	}
}

// waiter runs [TestPutAllDown] as a process, which says when it has put all down.
func (w *world) waiter() (pid int, lines *bufio.Scanner) {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, os.Args[0], "-test.run=^TestPutAllDown$")
	cmd.Env = append(os.Environ(), waiterEnv+"="+w.kafka.Brokers[0]+" "+w.names.Prefix)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid, bufio.NewScanner(out)
}

// TestPutAllDown is an executor that puts every attempt down for a day, with 1 KiB
// to go on with.
func TestPutAllDown(t *testing.T) {
	broker, prefix, ok := strings.Cut(os.Getenv(waiterEnv), " ")
	if !ok {
		t.Skip("is the helper of another test")
	}
	e, err := executor.New(executor.Config{Brokers: []string{broker}, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	state := strings.Repeat("x", 1<<10)
	e.HandleTask("patient.work", func(context.Context, executor.Task) (executor.Result, error) {
		if done.Add(1) == waiting {
			fmt.Println("all")
		}
		return nil, executor.Continue(state, 24*time.Hour)
	})
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// peakMemory is the most memory that a process has held, in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no VmHWM in\n%s", text)
	return 0
}
