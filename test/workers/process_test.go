//go:build unix

package workers

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	root     = "../.."
	patience = 60 * time.Second
)

// programs builds what runs, once for all tests.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "leat-workers-*"); err != nil {
		return "", err
	}
	// The go command reuses a test's last result while nothing that the test itself
	// has read differs, and it does not see what `go build` reads.
	for _, top := range []string{"cmd", "examples", "internal", "pkg", "schemas"} {
		_ = filepath.WalkDir(filepath.Join(root, top), func(string, fs.DirEntry, error) error { return nil })
	}
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/leat", "./cmd/router", "./cmd/projector", "./cmd/executor")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// bin is the path of a program of ours.
func bin(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// process is a program that runs. It does not outlive the test, however that ends.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone

	mu   sync.Mutex
	text bytes.Buffer
}

// Write collects what the process says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func start(t *testing.T, env []string, argv ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	bind(p.cmd)
	started := make(chan error, 1)
	go func() {
		// Linux kills the child when the thread that made it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			text := p.said()
			t.Logf("%v said:\n%s", argv, text[max(0, len(text)-3000):])
		}
	})
	return p
}

// kill is kill -9 of the process and of its group.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// until waits for the process to say a text, and gives what follows on the line.
func (p *process) until(text string) string {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		if _, after, ok := strings.Cut(p.said(), text); ok {
			line, _, whole := strings.Cut(after, "\n")
			if whole {
				return line
			}
		}
		select {
		case <-p.done:
			if !strings.Contains(p.said(), text) {
				p.t.Fatalf("%v ended without having said %q", p.cmd.Args, text)
			}
		case <-deadline.C:
			p.t.Fatalf("%v has not said %q", p.cmd.Args, text)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// run runs a program to its end and gives its standard output.
func run(t *testing.T, env []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", argv, err, out, &complaints)
	}
	return strings.TrimSpace(string(out))
}
