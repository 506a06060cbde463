//go:build unix

package once

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
	kafkatest "github.com/leat-io/leat/test/kafka"
	mcpservers "github.com/leat-io/leat/test/mcp/servers"
	"github.com/leat-io/leat/test/process"
)

func TestMain(m *testing.M) {
	if os.Getenv(relayEnv) != "" {
		if err := relay(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "relay:", err)
			os.Exit(1)
		}
		return
	}
	code := kafkatest.Main(m)
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var programs = sync.OnceValues(func() (dir string, err error) {
	return process.Build(filepath.Join("..", "..", ".."), "./cmd/leat", "./cmd/executor")
})

const (
	patience = 90 * time.Second
	lanes    = 6 // cases at a time: they wait most of the time
)

const definition = `
leat: v1
type: edit
version: 1
initial: editing
states:
  editing:
    invoke:
      task: mcp.call
      input: input
      timeout: {startToClose: 40s, heartbeat: 2s}
      onDone: done
      onError: failed
  done: {type: final, output: event.data}
  failed: {type: final, outcome: failed, output: event.data}
`

// subsystems are the same server twice: its edits may not be repeated, and may.
const subsystems = `
{id: files, type: storage, version: "1", stdio: files}
---
{id: again, type: storage, version: "1", stdio: files, tools: {edit_file: {repeat: safe}}}
`

// point is where an executor is killed.
type point struct {
	server string // of the relay before the server
	write  int    // number of the write to the broker, from 1
	behind bool
	again  bool // the tool may be repeated

	// What has to come of it; "" and -1 for what is left open, because nobody can know.
	code  string // "none" when the call has to end well
	lines int    // that the file has at the end
}

func (p point) String() string {
	text := "killed " + map[bool]string{false: "before", true: "behind"}[p.behind] + fmt.Sprintf(" write %d", p.write)
	if p.server != "" {
		text = "killed at " + p.server
	}
	if p.again {
		text += ", may be repeated"
	}
	return text
}

const (
	unknown = "MCP_OUTCOME_UNKNOWN"
	well    = "none"
)

// What is between the executor and the server has an outcome that is known to the test.
var atServer = []point{
	{server: firstByte, code: unknown, lines: 0},
	{server: written, code: unknown, lines: -1},
	{server: effect, code: unknown, lines: 1},
	{server: answered, lines: 1},
	{server: firstByte, again: true, code: well, lines: 1},
	{server: effect, again: true, code: well, lines: 2}, // the same kill, and the proof that it kills
}

// TestOnce kills at every point, on both brokers.
func TestOnce(t *testing.T) {
	t.Parallel()
	for name, broker := range map[string]func(*testing.T) []string{"embedded": embedded, "real": genuine} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "real" && testing.Short() {
				t.Skip("-short: the real broker takes seconds to start")
			}
			mcpservers.Filesystem(t, t.TempDir()) // skip before anything is started
			brokers := broker(t)
			writes := unharmed(t, brokers)
			points := append([]point(nil), atServer...)
			for n := 1; n <= writes; n++ {
				points = append(points, point{write: n, lines: -1}, point{write: n, behind: true, lines: -1})
			}
			points[len(atServer)].code, points[len(atServer)].lines = well, 1 // nothing was written: it is as if it never was
			var g errgroup.Group
			g.SetLimit(lanes)
			for _, p := range points {
				g.Go(func() error {
					if err := try(t, brokers, p); err != nil {
						t.Errorf("%v: %v", p, err)
					}
					return nil
				})
			}
			_ = g.Wait()
		})
	}
}

func embedded(t *testing.T) []string {
	t.Helper()
	b, err := devkafka.Start(devkafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return []string{b.Addr()}
}

func genuine(t *testing.T) []string {
	t.Helper()
	return kafkatest.Brokers(t)
}

// unharmed makes a call while nobody is killed, and returns how many writes it took.
func unharmed(t *testing.T, brokers []string) int {
	t.Helper()
	l, err := newLane(t, brokers, point{lines: 1, code: well})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.call(); err != nil {
		t.Fatal(err)
	}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	writes := l.relay.seen()
	if len(writes) < 3 || len(writes) > 12 {
		t.Fatalf("a call is %d writes: %v", len(writes), writes)
	}
	t.Logf("a call writes %v", writes)
	return len(writes)
}

// try makes one call that is killed at p, and is taken over.
func try(t *testing.T, brokers []string, p point) error {
	t.Helper()
	l, err := newLane(t, brokers, p)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.call(); err != nil {
		return err
	}
	return l.check()
}

// lane is one engine with topics of its own, and a folder for the server.
type lane struct {
	t       *testing.T
	point   point
	ctx     context.Context //nolint:containedctx // the patience of one case
	dir     string          // of the server
	calls   string          // what its relay has seen
	brokers []string
	names   topics.Names
	relay   *brokerRelay
	client  *client.Client
	ends    []func()
	state   client.Instance
}

func newLane(t *testing.T, brokers []string, p point) (l *lane, err error) {
	t.Helper()
	l = &lane{t: t, point: p, brokers: brokers, names: topics.Names{Prefix: "once-" + strings.ToLower(rand.Text()[:8]) + "."}}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	var cancel context.CancelFunc
	l.ctx, cancel = context.WithTimeout(context.Background(), patience)
	l.ends = append(l.ends, cancel)
	dir, err := os.MkdirTemp("", "leat-once-*") //nolint:usetesting // a case ends before the test does
	if err != nil {
		return l, err
	}
	l.ends = append(l.ends, func() { _ = os.RemoveAll(dir) })
	if l.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return l, err
	}
	l.calls = filepath.Join(l.dir, "calls.log")
	if err := os.WriteFile(l.file(), []byte("begin\nend\n"), 0o600); err != nil {
		return l, err
	}
	if l.client, err = client.New(client.Config{Brokers: brokers, Prefix: l.names.Prefix}); err != nil {
		return l, err
	}
	l.ends = append(l.ends, l.client.Close)
	if _, err := l.client.Deploy(l.ctx, client.DeployRequest{Name: "edit.yaml", Source: []byte(definition), Partitions: 1}); err != nil {
		return l, err
	}
	if l.relay, err = newBrokerRelay(l.ctx, brokers[0]); err != nil {
		return l, err
	}
	l.ends = append(l.ends, l.relay.Close)
	return l, l.router()
}

func (l *lane) close() {
	for _, end := range slices.Backward(l.ends) {
		end()
	}
}

func (l *lane) file() string { return filepath.Join(l.dir, "list.txt") }

// router decides, in this process.
func (l *lane) router() error {
	r, err := router.New(router.Config{Kafka: kafka.Config{Brokers: l.brokers}, Names: l.names, Slot: "once", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }() // until close
	l.ends = append(l.ends, func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("%v: the router: %v", l.point, err)
		}
	})
	return nil
}

// executor starts one, and waits until it is ready.
func (l *lane) executor(broker, at string) (*process.Child, int, error) {
	dir, err := programs()
	if err != nil {
		return nil, 0, err
	}
	ops, err := freeAddr(l.ctx)
	if err != nil {
		return nil, 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	server := append([]string{self}, mcpservers.Filesystem(l.t, l.dir).Command...)
	cmd := exec.Command(filepath.Join(dir, "executor"), "--brokers", broker, "--prefix", l.names.Prefix, "--ops-addr", ops,
		"--mcp-command", "files="+strings.Join(server, " "), "--mcp-env", "files="+relayEnv+"="+at, "--mcp-env", "files="+callsEnv+"="+l.calls)
	log := &process.Output{}
	cmd.Stdout, cmd.Stderr = log, log
	child, err := process.Start(cmd)
	if err != nil {
		return nil, 0, err
	}
	l.ends = append(l.ends, func() {
		child.Kill()
		if l.t.Failed() {
			text := log.String()
			l.t.Logf("%v: an executor said: %s", l.point, text[max(0, len(text)-3000):])
		}
	})
	return child, cmd.Process.Pid, l.until(func() error {
		r, err := http.NewRequestWithContext(l.ctx, http.MethodGet, "http://"+ops+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return errors.New("the executor is not ready")
		}
		return nil
	})
}

// call approves the tools, makes the call, and brings a second executor when the first
// one is dead.
func (l *lane) call() error {
	at := l.point.server
	if at == "" {
		at = "none"
	}
	first, pid, err := l.executor(l.relay.addr(), at)
	if err != nil {
		return err
	}
	if err := l.register(); err != nil {
		return err
	}
	l.relay.arm(l.point.write, l.point.behind, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err := l.start(); err != nil {
		return err
	}
	if l.point.server != "" || l.point.write > 0 {
		select {
		case <-first.Done():
		case <-l.ctx.Done():
			return fmt.Errorf("the executor was not killed: %v", l.relay)
		}
		if _, _, err := l.executor(l.brokers[0], "none"); err != nil {
			return err
		}
	}
	l.state, err = l.client.WaitFinished(l.ctx, "edit", "1")
	return err
}

// register approves what the executor lists.
func (l *lane) register() error {
	dir, err := programs()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(l.ctx, filepath.Join(dir, "leat"), "--brokers", l.brokers[0], "--prefix", l.names.Prefix, "mcp", "register", "--approve", "--yes", "-")
	cmd.Stdin = strings.NewReader(subsystems)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("leat mcp register: %w: %s", err, out)
	}
	return nil
}

func (l *lane) start() error {
	subsystem := "files"
	if l.point.again {
		subsystem = "again"
	}
	_, err := l.client.Start(l.ctx, client.StartRequest{Type: "edit", Key: "1", Input: map[string]any{
		"tool": "edit_file", "subsystem": subsystem, "require": true,
		"arguments": map[string]any{"path": l.file(), "edits": []any{map[string]any{"oldText": "end\n", "newText": "line\nend\n"}}},
	}})
	return err
}

// check holds what came of the call against what may.
func (l *lane) check() error {
	text, err := os.ReadFile(l.file())
	if err != nil {
		return err
	}
	lines := strings.Count(string(text), "line\n")
	calls, _ := os.ReadFile(l.calls)
	called := strings.Count(string(calls), "\n")
	code := well
	if l.state.State != events.WorkflowCompleted {
		var failure struct{ Code, Message string }
		_ = json.Unmarshal(l.state.Output, &failure)
		if code = failure.Code; code != unknown {
			return fmt.Errorf("it ended %s with %s: %s", l.state.State, code, failure.Message)
		}
	}
	l.t.Logf("%v: %s, %d calls, %d lines; %v", l.point, code, called, lines, l.relay)
	switch {
	case l.point.code != "" && code != l.point.code:
		return fmt.Errorf("it ends with %s, want %s", code, l.point.code)
	case l.point.lines >= 0 && lines != l.point.lines:
		return fmt.Errorf("the file has %d lines, want %d", lines, l.point.lines)
	case !l.point.again && (lines > 1 || called > 1):
		return fmt.Errorf("the tool ran %d times, and was called %d times", lines, called)
	case code == well && lines == 0:
		return errors.New("it is said to have run, and has not")
	}
	return nil
}

func (l *lane) until(what func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := what()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return fmt.Errorf("waited in vain: %w", err)
		}
	}
}

func freeAddr(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
