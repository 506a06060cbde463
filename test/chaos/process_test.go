//go:build unix

package chaos

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// programs builds what is to be killed, once for all tests.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "leat-chaos-*"); err != nil {
		return "", err
	}
	readTree()
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/leat", "./cmd/router", "./cmd/projector", "./examples/...")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// readTree looks into every folder with code. The go command reuses a test's last
// result while nothing that the test itself has read differs, and it does not
// see what `go build` reads.
func readTree() {
	for _, top := range []string{"cmd", "examples", "internal", "pkg", "schemas"} {
		_ = filepath.WalkDir(filepath.Join("..", "..", top), func(string, fs.DirEntry, error) error { return nil })
	}
}

// process is a program that runs. It does not outlive the test, however that ends.
type process struct {
	t    *testing.T
	name string
	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone
	err  error         // how it ended, once done is closed
	out  *output
	log  *output
}

// output collects what a process says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs bin/name.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: args, out: &output{}, log: &output{}}
	p.launch()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			text := p.log.String()
			t.Logf("%s %v said:\n%s", name, args, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// launch starts the program, again when it was killed.
func (p *process) launch() {
	p.t.Helper()
	dir, err := programs()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, p.name), p.args...)
	cmd.Stdout, cmd.Stderr = p.out, p.log
	bind(cmd)
	done, started := make(chan struct{}), make(chan error, 1)
	p.cmd, p.done = cmd, done
	go func() {
		// Linux kills the child when the thread that made it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		p.t.Fatal(err)
	}
}

// kill is kill -9 of the process and of its group.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}
