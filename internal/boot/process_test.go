package boot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/topics"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// asRole makes the test binary one of the three programs.
const asRole = "LEAT_TEST_ROLE"

func roles() map[string]Role {
	return map[string]Role{"router": Router(), "projector": Projector(), "executor": Executor()}
}

func TestMain(m *testing.M) {
	if name := os.Getenv(asRole); name != "" {
		Main(roles()[name])
	}
	if who := os.Getenv(asMCPServer); who != "" {
		serveMCP(who)
		return
	}
	goleak.VerifyTestMain(m)
}

// program is a worker process and what it has said.
type program struct {
	cmd *exec.Cmd
	ops string // URL
	mu  sync.Mutex
	log bytes.Buffer
	end chan struct{} // closed when it said its last
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// launch starts a worker and waits until it serves /readyz, or has ended.
func launch(t *testing.T, role string, args ...string) *program {
	t.Helper()
	p := &program{end: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], append(args, "--ops-addr", "127.0.0.1:0")...)
	p.cmd.Env = append(os.Environ(), asRole+"="+role)
	p.cmd.Dir = t.TempDir()
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ops := make(chan string, 1)
	go func() {
		defer close(p.end)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.mu.Lock()
			p.log.Write(append(lines.Bytes(), '\n'))
			p.mu.Unlock()
			var l struct{ Msg, Ops string }
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "started" {
				ops <- l.Ops
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		<-p.end
		if t.Failed() {
			t.Logf("%s said:\n%s", role, p.said())
		}
	})
	select {
	case p.ops = <-ops:
	case <-p.end:
	}
	return p
}

// stop ends the process and gives its exit code.
func (p *program) stop(t *testing.T, s os.Signal) int {
	t.Helper()
	if s != nil {
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	<-p.end
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// get asks the ops server.
func (p *program) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.ops+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// until asks again and again until ok, or half a minute has gone.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within half a minute: %s", what)
		case <-again.C:
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startBroker(t *testing.T, addr string) *devkafka.Broker {
	t.Helper()
	b, err := devkafka.Start(devkafka.Options{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// A worker whose broker is away says which, waits, is not ready, and does not
// end; neither at start nor later.
func TestBrokerIsAway(t *testing.T) {
	t.Parallel()
	for role, args := range map[string][]string{
		"router":    {"--slot", "r-0"},
		"projector": {"--http", "127.0.0.1:0"},
		"executor":  {"--exec", "q.t=cat"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			addr := freeAddr(t)
			if role != "executor" {
				args = append(args, "--data", t.TempDir())
			}
			p := launch(t, role, append(args, "--brokers", addr)...)
			until(t, "the log names the broker", func() bool {
				return strings.Contains(p.said(), "kafka does not answer") && strings.Contains(p.said(), addr)
			})
			if status, body := p.get(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "[-]kafka failed") || !strings.Contains(body, "not ready") {
				t.Errorf("/readyz without a broker: %d\n%s", status, body)
			}
			if status, _ := p.get(t, "/livez"); status != http.StatusOK {
				t.Errorf("/livez without a broker: %d", status)
			}
			if status, body := p.get(t, "/metrics"); status != http.StatusOK || !strings.Contains(body, `leat_kafka_connects_total{node="seed_0",result="error"}`) {
				t.Errorf("/metrics: %d\n%.500s", status, body)
			}
			b := startBroker(t, addr)
			if role != "executor" { // an executor is ready when its queue is there
				until(t, "ready", func() bool { status, _ := p.get(t, "/readyz"); return status == http.StatusOK })
				if _, body := p.get(t, "/readyz?verbose"); !strings.Contains(body, "[+]kafka ok\n[+]"+role+" ok") {
					t.Errorf("/readyz?verbose says\n%s", body)
				} else if strings.Contains(body, "[+]disk ok") != (role != "executor") {
					t.Errorf("/readyz?verbose says of the disk\n%s", body)
				}
			}
			until(t, "kafka is well", func() bool {
				_, body := p.get(t, "/readyz?verbose")
				return strings.Contains(body, "[+]kafka ok")
			})
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			until(t, "not ready again", func() bool { status, _ := p.get(t, "/readyz"); return status == http.StatusServiceUnavailable })
			if code := p.stop(t, syscall.SIGTERM); code != 0 {
				t.Errorf("after SIGTERM the exit code is %d", code)
			}
			if n := strings.Count(p.said(), "\n"); n > 60 {
				t.Errorf("a broker that is away fills the log: %d lines", n)
			}
		})
	}
}

// What waiting does not mend ends the process, with the reason.
func TestWorkerEndsWithAReason(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0")
	shape := topics.Names{}.Shared()[0]
	shape.Partitions = 3
	admin, err := kafka.NewAdmin(kafka.Config{Brokers: []string{b.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(t.Context(), 1, shape); err != nil {
		t.Fatal(err)
	}
	taken := startBroker(t, "127.0.0.1:0")
	held := t.TempDir()
	holder := launch(t, "router", "--brokers", taken.Addr(), "--data", held, "--slot", "a")
	until(t, "the first is ready", func() bool { status, _ := holder.get(t, "/readyz"); return status == http.StatusOK })
	for _, c := range []struct {
		name, role string
		args       []string
		exit       int
		says       []string
	}{
		{"a topic of the wrong shape", "router", []string{"--brokers", b.Addr(), "--slot", "x", "--data", t.TempDir()}, problem.ExitConflict, []string{"LEAT-K003", "workflow.definitions", "partitions 3, want 1"}},
		{"a directory that is held", "router", []string{"--brokers", taken.Addr(), "--slot", "b", "--data", held}, problem.ExitConflict, []string{"LEAT-D001", held}},
		{"a port that is taken", "projector", []string{"--http", taken.Addr(), "--data", t.TempDir()}, problem.ExitConflict, []string{"LEAT-K005", taken.Addr()}},
		{"nothing to run", "executor", nil, problem.ExitUsage, []string{"LEAT-U001", "--exec 'queue.task=program arg…'"}},
		{"a program that is not there", "executor", []string{"--exec", "q.t=/nowhere"}, problem.ExitUsage, []string{"LEAT-U001", "/nowhere"}},
		{"a host that is none", "executor", []string{"--http-allow", "a.b/c"}, problem.ExitUsage, []string{"LEAT-C002", `"a.b/c"`, "without a path"}},
		{"tasks for anybody", "executor", []string{"--http", "0.0.0.0:0"}, problem.ExitError, []string{"LEAT-K006", "without a token anyone who reaches it can take tasks", "--http-token-file"}},
		{"a port for workers that is taken", "executor", []string{"--http", taken.Addr()}, problem.ExitConflict, []string{"LEAT-K005", taken.Addr()}},
		{"an unknown flag", "router", []string{"--broker", "x"}, problem.ExitUsage, []string{"LEAT-U001", "unknown flag: --broker"}},
		{"a word", "router", []string{"now"}, problem.ExitUsage, []string{"LEAT-U001", `"now" is not a flag`}},
		{"a level", "router", []string{"--log-level", "loud"}, problem.ExitUsage, []string{"LEAT-C002", "loud"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, c.role, c.args...)
			code := p.stop(t, nil)
			for _, want := range c.says {
				if !strings.Contains(p.said(), want) {
					t.Errorf("does not say %q", want)
				}
			}
			if code != c.exit {
				t.Errorf("exit code %d, want %d", code, c.exit)
			}
		})
	}
}

func TestHelpOfRoles(t *testing.T) {
	for name, role := range roles() {
		var out, errs bytes.Buffer
		if code := Run(role, []string{"--help"}, nil, &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%s --help: exit %d\n%s", name, code, &errs)
		}
		path := filepath.Join("testdata", "help-"+name+".txt")
		if *rewrite {
			if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(want, out.Bytes()) {
			t.Errorf("%s differs (%v); go test ./internal/boot -rewrite rewrites it. Got:\n%s", path, err, &out)
		}
	}
}

func TestReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	away := freeAddr(t)
	if err := Reach(t.Context(), []string{away, l.Addr().String()}); err != nil {
		t.Errorf("one of two is there: %v", err)
	}
	err = Reach(t.Context(), []string{away})
	if p := explain.Error("", err); p.Code != problem.KafkaAway || !strings.Contains(p.What, away) {
		t.Errorf("none is there: %v", err)
	}
	if err := Reach(t.Context(), nil); !errors.Is(err, &problem.Problem{Code: problem.BadSetting}) {
		t.Errorf("no broker is reached with %v", err)
	}
}
