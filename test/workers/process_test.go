//go:build unix

package workers

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/test/process"
)

const (
	root     = "../.."
	patience = 60 * time.Second
)

// programs builds what runs, once for all tests.
var programs = sync.OnceValues(func() (dir string, err error) {
	return process.Build(root, "./cmd/leat", "./cmd/router", "./cmd/projector", "./cmd/executor")
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

// program is a process that runs. It does not outlive the test, however that ends.
type program struct {
	*process.Child
	t    *testing.T
	argv []string
	out  *process.Output
}

func start(t *testing.T, env []string, argv ...string) *program {
	t.Helper()
	p := &program{t: t, argv: argv, out: &process.Output{}}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	var err error
	if p.Child, err = process.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			text := p.out.String()
			t.Logf("%v said:\n%s", argv, text[max(0, len(text)-3000):])
		}
	})
	return p
}

// until waits for the process to say a text, and gives what follows on the line.
func (p *program) until(text string) string {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		if _, after, ok := strings.Cut(p.out.String(), text); ok {
			line, _, whole := strings.Cut(after, "\n")
			if whole {
				return line
			}
		}
		select {
		case <-p.Done():
			if !strings.Contains(p.out.String(), text) {
				p.t.Fatalf("%v ended without having said %q", p.argv, text)
			}
		case <-deadline.C:
			p.t.Fatalf("%v has not said %q", p.argv, text)
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
