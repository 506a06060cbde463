//go:build unix

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// watch is the script of a group's watcher. It waits for the end of its standard
// input, whose other end only this process holds: however this process ends, the
// group ends with it. It holds nothing of a task.
const watch = `trap '' TERM INT HUP QUIT; read -r end; kill -KILL 0`

// Group is the process group that a program runs in. Its leader is the watcher,
// so that the group is there before the program is, and its id means nothing
// else before everything in it is ended.
type Group struct {
	watcher *exec.Cmd
	hold    io.Closer

	mu  sync.Mutex
	pid int // 0 while there is none, and when it is over: then it may be another's
}

// NewGroup begins to watch. Without a shell on this machine there is no watcher:
// the program leads its group, and outlives a process that is killed.
func NewGroup() (*Group, error) {
	const shell = "/bin/sh"
	if _, err := os.Stat(shell); err != nil {
		return &Group{}, nil //nolint:nilerr // there is no shell
	}
	g := &Group{watcher: exec.Command(shell, "-c", watch)} //nolint:noctx // it ends with its standard input
	g.watcher.Env = []string{}
	g.watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	hold, err := g.watcher.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("watch a process group: %w", err)
	}
	if err := g.watcher.Start(); err != nil {
		return nil, fmt.Errorf("watch a process group: %w", err)
	}
	g.hold, g.pid = hold, g.watcher.Process.Pid
	return g, nil
}

// Start runs cmd in the group; cmd has a context. When that ends, the group is
// asked to end.
func (g *Group) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.pid}
	cmd.Cancel = g.Terminate
	if err := cmd.Start(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pid == 0 {
		g.pid = cmd.Process.Pid
	}
	return nil
}

// Terminate asks what is in the group to end.
func (g *Group) Terminate() error { return g.signal(syscall.SIGTERM) }

// Kill ends what is in the group.
func (g *Group) Kill() { _ = g.signal(syscall.SIGKILL) } // nothing is left

func (g *Group) signal(sig syscall.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pid == 0 {
		return os.ErrProcessDone
	}
	err := syscall.Kill(-g.pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// End is behind the end of the program: it ends what is left. Call it once; after
// it the other methods do nothing.
func (g *Group) End() {
	g.Kill()
	g.mu.Lock()
	g.pid = 0
	g.mu.Unlock()
	if g.watcher != nil {
		_ = g.hold.Close()
		_ = g.watcher.Wait() // it was killed
	}
}
