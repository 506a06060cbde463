//go:build unix

package process

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
)

// Build builds packages of the module at root into a new folder, which is the
// caller's to remove.
func Build(root string, packages ...string) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "leat-test-*"); err != nil {
		return "", fmt.Errorf("make a folder for the programs: %w", err)
	}
	readTree(root)
	build := exec.Command("go", append([]string{"build", "-o", dir + "/"}, packages...)...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
}

// readTree looks into every folder with code. The go command reuses a test's last
// result while nothing that the test itself has read differs, and it does not
// see what `go build` reads.
func readTree(root string) {
	for _, top := range []string{"cmd", "examples", "internal", "pkg", "schemas"} {
		_ = filepath.WalkDir(filepath.Join(root, top), func(string, fs.DirEntry, error) error { return nil })
	}
}

// Child is a program that runs, in a process group of its own.
type Child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, once done is closed
}

// Start starts cmd. The child is killed when this process ends, however that ends.
func Start(cmd *exec.Cmd) (*Child, error) {
	bind(cmd)
	c := &Child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux kills the child when the thread that made it ends, and the Go runtime
		// ends threads as it likes: this one stays for as long as the child runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	return c, <-started
}

// Done is closed when the child is gone.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is how the child ended. It waits for that.
func (c *Child) Err() error {
	<-c.done
	return c.err
}

// Kill is kill -9 of the child and of its group. It returns when the child is gone.
func (c *Child) Kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// Output collects what a child says. It may be read at any time.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is the child's.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is what was said until now.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
