package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// asLeat makes the test binary the program itself, so that tests start real
// processes without a build of their own.
const asLeat = "LEAT_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asLeat) != "" {
		os.Exit(Main())
	}
	goleak.VerifyTestMain(m)
}

// leat runs the program within the test.
func leat(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, args, session.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}, nil)
	return code, out.String(), errs.String()
}

// golden compares with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./internal/cli -rewrite rewrites it. Got:\n%s", path, got)
	}
}

// ready is what `leat dev -o jsonl` prints when it is ready.
type ready struct {
	API, Kafka string
	Queues     []string
	ReadyMS    int64 `json:"ready_ms"`
}

// process is a leat that runs beside the test.
type process struct {
	cmd    *exec.Cmd
	ready  ready
	stderr *bytes.Buffer
}

// startDev starts `leat dev` on free ports and waits until it is ready.
func startDev(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{stderr: new(bytes.Buffer)}
	p.cmd = exec.Command(os.Args[0], append([]string{"dev", "--data", dir, "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "-o", "jsonl"}, args...)...)
	p.cmd.Env = append(os.Environ(), asLeat+"=1")
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("leat dev said:\n%s", p.stderr)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.ready)
	}
	if err != nil {
		t.Fatalf("leat dev is not ready: %v\n%s", err, p.stderr)
	}
	return p
}

// stop ends the process with a signal and gives its exit code.
func (p *process) stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// leat runs a command against the process.
func (p *process) leat(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return leat(t, "", append(args, "--brokers", p.ready.Kafka, "--api", p.ready.API)...)
}

// must is leat that has to succeed.
func (p *process) must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := p.leat(t, args...)
	if code != 0 {
		t.Fatalf("leat %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

func TestJourney(t *testing.T) {
	dir := t.TempDir()
	p := startDev(t, dir)
	if p.ready.ReadyMS > 5000 {
		t.Errorf("ready after %d ms", p.ready.ReadyMS)
	}
	p.must(t, "def", "deploy", "testdata/approval.yaml")
	if got := p.must(t, "def", "get", "approval@1"); got != read(t, "testdata/approval.yaml") {
		t.Errorf("def get gives\n%s", got)
	}
	var list []struct{ Partitions int }
	decode(t, p.must(t, "def", "list", "-o", "json"), &list)
	if len(list) != 1 || list[0].Partitions != 8 {
		t.Errorf("deployed: %+v", list)
	}
	out := p.must(t, "start", "approval", "--key", "a-1", "--input", `{"amount": 12}`, "--wait")
	golden(t, "start.txt", steady(out))
	_, _, errs := p.leat(t, "start", "approval", "--key", "a-1", "--input", `{"amount": 99}`, "--wait")
	if !strings.Contains(errs, "duplicate: already decided at sequence 1\n") {
		t.Errorf("a second start says %q", errs)
	}
	golden(t, "get.json", steady(p.must(t, "get", "approval", "a-1", "-o", "json")))
	golden(t, "get.yaml", steady(p.must(t, "get", "approval", "a-1", "-o", "yaml")))
	golden(t, "list.txt", steady(p.must(t, "list", "--type", "approval")))

	followed := make(chan string, 1)
	go func() {
		_, out, _ := p.leat(t, "history", "approval", "a-1", "--follow", "-o", "jsonl")
		followed <- out
	}()
	p.must(t, "signal", "approval", "a-1", "approve", "--data", `{"by":"ann"}`, "--wait")
	golden(t, "history.txt", steady(p.must(t, "history", "approval", "a-1")))
	if n := strings.Count(<-followed, "\n"); n != strings.Count(read(t, "testdata/history.txt"), "\n")-1 {
		t.Errorf("--follow showed %d events", n)
	}
	golden(t, "count.txt", p.must(t, "count", "approval"))

	// What fails ends with 7, and the reason.
	code, out, errs := p.leat(t, "start", "approval", "--key", "a-2", "--wait-for", "finished", "--input", `{"amount": 5000}`)
	if code != problem.ExitWorkflow || !strings.Contains(errs, "LEAT-W002") || !strings.Contains(errs, "TOO_MUCH") {
		t.Errorf("a failed workflow: exit %d\n%s%s", code, out, errs)
	}
	if !strings.Contains(errs, "TOO_MUCH: more than 1000") || !strings.Contains(out, "a-2") {
		t.Errorf("a failed workflow does not say why:\n%s%s", out, errs)
	}
	// One that has ended is shown again, and said to be no new one.
	out = p.must(t, "start", "approval", "--key", "a-1", "--input", `{"amount": 1}`, "--wait-for", "finished")
	if _, _, errs = p.leat(t, "start", "approval", "--key", "a-1", "--input", `{"amount": 1}`, "--wait-for", "finished"); !strings.Contains(out, "approved") ||
		!strings.Contains(errs, "duplicate: already decided at sequence 1") {
		t.Errorf("a second start: %s%s", out, errs)
	}
	// Without a projector, from the topics alone.
	code, out, errs = leat(t, "", "get", "approval", "a-1", "--brokers", p.ready.Kafka, "-o", "jsonl")
	if code != 0 || !strings.Contains(out, `"completed"`) {
		t.Errorf("get from the topics: exit %d\n%s%s", code, out, errs)
	}

	if code := p.stop(t, syscall.SIGINT); code != 0 {
		t.Errorf("after Ctrl-C the exit code is %d", code)
	}
	p = startDev(t, dir)
	p.must(t, "get", "approval", "a-1", "--min-sequence", "1")
	// A kill loses nothing that was acknowledged.
	for i := range 50 {
		p.must(t, "start", "approval", "--key", fmt.Sprint("k-", i), "--input", `{"amount": 1}`)
	}
	p.stop(t, syscall.SIGKILL)
	p = startDev(t, dir)
	p.must(t, "start", "approval", "--key", "last", "--input", `{"amount": 1}`, "--wait")
	for i := range 50 {
		p.must(t, "get", "approval", fmt.Sprint("k-", i), "--min-sequence", "1")
	}
}

func TestDevSaysWhyItCannotStart(t *testing.T) {
	dir := t.TempDir()
	p := startDev(t, dir)
	kafka, api := p.ready.Kafka, strings.TrimPrefix(p.ready.API, "http://")
	for _, c := range []struct {
		name string
		args []string
		code problem.Code
		exit int
		says string
	}{
		{"the directory is held", []string{"--data", dir, "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0"}, problem.DirectoryLocked, problem.ExitConflict, dir},
		{"the port of Kafka is taken", []string{"--data", t.TempDir(), "--http", "127.0.0.1:0", "--kafka", kafka}, problem.AddressTaken, problem.ExitConflict, "--kafka 127.0.0.1:0"},
		{"the port of the API is taken", []string{"--data", t.TempDir(), "--http", api, "--kafka", "127.0.0.1:0"}, problem.AddressTaken, problem.ExitConflict, "--http 127.0.0.1:0"},
		{"open to the network", []string{"--memory", "--kafka", "0.0.0.0:0"}, problem.AddressRefused, problem.ExitError, "loopback"},
		{"a newer directory", []string{"--data", newer(t), "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0"}, problem.DirectoryNewer, problem.ExitConflict, "99"},
		{"a program that is not there", []string{"--memory", "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--exec", "a.b=/nowhere"}, problem.Usage, problem.ExitUsage, "/nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, errs := leat(t, "", append([]string{"dev"}, c.args...)...)
			if code != c.exit || !strings.Contains(errs, string(c.code)) || !strings.Contains(errs, c.says) {
				t.Errorf("exit %d, says\n%s", code, errs)
			}
		})
	}
}

func newer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "kafka"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kafka", "broker.json"), []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Everything that `leat dev` serves besides the API.
func TestDevServesHealthAndMetrics(t *testing.T) {
	p := startDev(t, t.TempDir(), "--partitions", "3")
	for path, want := range map[string]string{
		"/livez": "ok", "/readyz": "ok", "/readyz?verbose": "[+]router ok", "/version": `"partitions":3`,
		"/metrics": "leat_router_commit_seconds", "/openapi.json": "/api/v1/instances",
	} {
		resp, err := http.Get(p.ready.API + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s\n%.2000s", path, resp.Status, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	p.must(t, "def", "deploy", "testdata/approval.yaml")
	if out := p.must(t, "def", "list"); !strings.Contains(out, "         3") {
		t.Errorf("a new type has not the 3 partitions of --partitions:\n%s", out)
	}
}

func TestKafkaIsAway(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	for _, args := range [][]string{
		{"start", "x", "--key", "k"},
		{"signal", "x", "k", "e"},
		{"def", "deploy", "testdata/approval.yaml"},
		{"get", "x", "k"},
	} {
		code, _, errs := leat(t, "", append(args, "--brokers", addr)...)
		if code != problem.ExitUnavailable || !strings.Contains(errs, "LEAT-K001") || !strings.Contains(errs, addr) {
			t.Errorf("leat %v: exit %d\n%s", args, code, errs)
		}
	}
	code, _, errs := leat(t, "", "get", "x", "k", "--api", "http://"+addr)
	if code != problem.ExitUnavailable || !strings.Contains(errs, "LEAT-A001") {
		t.Errorf("no projector: exit %d\n%s", code, errs)
	}
}

var unsteady = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d(\.\d+)?`), "TIME"},
	{regexp.MustCompile(`"?correlation_id"?: "?[0-9a-f-]{36}"?`), "correlation_id: ID"},
	{regexp.MustCompile(`"?name"?: "?[0-9a-f-]{36}"?`), "name: ID"},
}

// steady replaces what differs from run to run.
func steady(s string) string {
	for _, u := range unsteady {
		s = u.pattern.ReplaceAllString(s, u.with)
	}
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}
