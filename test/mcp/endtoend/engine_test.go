//go:build unix

package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	kafkatest "github.com/leat-io/leat/test/kafka"
	"github.com/leat-io/leat/test/process"
)

func TestMain(m *testing.M) {
	code := kafkatest.Main(m)
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var programs = sync.OnceValues(func() (dir string, err error) {
	return process.Build(filepath.Join("..", "..", ".."), "./cmd/leat", "./cmd/executor", "./cmd/router")
})

const patience = 90 * time.Second

// engine is what users have: programs, and a broker.
type engine struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // the patience of one test
	broker string
	prefix string
	calls  []string // the program that makes the calls, and its flags
	child  *process.Child
}

// each runs a scenario on `leat dev`, and on a real Kafka with a router and an executor.
// setup gives the flags that say what may be called, and the scenario.
func each(t *testing.T, setup func(*testing.T) (flags []string, scenario func(*engine))) {
	t.Helper()
	t.Parallel()
	for name, start := range map[string]func(*engine, []string){"dev": (*engine).dev, "real": (*engine).real} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "real" && testing.Short() {
				t.Skip("-short: the real broker takes seconds to start")
			}
			flags, scenario := setup(t) // servers may have to be installed
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			t.Cleanup(cancel)
			e := &engine{t: t, ctx: ctx}
			start(e, flags)
			scenario(e)
		})
	}
}

// dev is everything in one process, on one directory.
func (e *engine) dev(flags []string) {
	e.t.Helper()
	e.broker = freeAddr(e.t)
	e.calls = append([]string{"leat", "dev", "--data", e.t.TempDir(), "--kafka", e.broker, "--http", "127.0.0.1:0", "--workers", "127.0.0.1:0"}, flags...)
	e.launch()
}

// real is a router and an executor on a real Kafka.
func (e *engine) real(flags []string) {
	e.t.Helper()
	e.broker, e.prefix = kafkatest.Brokers(e.t)[0], fmt.Sprintf("e2e-%x.", time.Now().UnixNano())
	e.start("router", "--brokers", e.broker, "--prefix", e.prefix, "--data", e.t.TempDir(), "--slot", "one", "--ops-addr", "127.0.0.1:0")
	e.calls = append([]string{"executor", "--brokers", e.broker, "--prefix", e.prefix, "--ops-addr", "127.0.0.1:0"}, flags...)
	e.launch()
}

// launch starts what makes the calls, again after a kill.
func (e *engine) launch() {
	e.t.Helper()
	e.child = e.start(e.calls[0], e.calls[1:]...)
	e.until("no broker answers", func() error {
		var d net.Dialer
		c, err := d.DialContext(e.ctx, "tcp", e.broker)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
}

// kill is kill -9 of what makes the calls; of leat dev it is everything.
func (e *engine) kill() { e.child.Kill() }

func (e *engine) start(name string, args ...string) *process.Child {
	e.t.Helper()
	cmd := exec.Command(e.program(name), args...)
	log := &process.Output{}
	cmd.Stdout, cmd.Stderr = log, log
	child, err := process.Start(cmd)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		child.Kill()
		if e.t.Failed() {
			text := log.String()
			e.t.Logf("%s said: %s", name, text[max(0, len(text)-4000):])
		}
	})
	return child
}

func (e *engine) program(name string) string {
	e.t.Helper()
	dir, err := programs()
	if err != nil {
		e.t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// leat runs the command line; in is its standard input.
func (e *engine) leat(in string, args ...string) (string, error) {
	e.t.Helper()
	all := append([]string{"--brokers", e.broker, "--prefix", e.prefix, "--timeout", "60s"}, args...)
	cmd := exec.CommandContext(e.ctx, e.program("leat"), all...)
	cmd.Stdin = strings.NewReader(in)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("leat %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}

// ok runs the command line, which has to succeed, and reads its JSON.
func (e *engine) ok(into any, args ...string) {
	e.t.Helper()
	out, err := e.leat("", append(args, "-o", "json")...)
	if err != nil {
		e.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(out), into); err != nil {
			e.t.Fatalf("leat %v: %v: %s", args, err, out)
		}
	}
}

// register registers subsystems, and approves their tools.
func (e *engine) register(yaml string) {
	e.t.Helper()
	if _, err := e.leat(yaml, "mcp", "register", "--approve", "--yes", "-"); err != nil {
		e.t.Fatal(err)
	}
}

// answer is the result of a call.
type answer struct {
	Content    []struct{ Text string }
	Structured json.RawMessage
	Subsystem  string
	Tool       string
	Sent       string
	Received   string
}

func (a *answer) text() string {
	var all []string
	for _, c := range a.Content {
		all = append(all, c.Text)
	}
	return strings.Join(all, "\n")
}

func (e *engine) call(tool, arguments string) (a answer) {
	e.t.Helper()
	e.ok(&a, "mcp", "call", tool, "--args", arguments)
	return a
}

func (e *engine) until(what string, ok func() error) {
	e.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			e.t.Fatalf("%s: %v", what, err)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	var c net.ListenConfig
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
