//go:build unix

package executor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watch is the script of a group's watcher. It waits for the end of its standard
// input, whose other end only the executor holds: however the executor ends, the
// group ends with it. It holds nothing of a task.
const watch = `trap '' TERM INT HUP QUIT; read -r end; kill -KILL 0`

// group is the process group that a program runs in. Its leader is the watcher,
// so that the group is there before the program is, and its id means nothing
// else before everything in it is ended.
type group struct {
	watcher *exec.Cmd
	hold    io.Closer
	pid     int // 0 while there is none
}

// newGroup begins to watch. Without a shell on this machine there is no watcher:
// the program leads its group, and outlives an executor that is killed.
func newGroup() (*group, error) {
	const shell = "/bin/sh"
	if _, err := os.Stat(shell); err != nil {
		return &group{}, nil //nolint:nilerr // there is no shell
	}
	g := &group{watcher: exec.Command(shell, "-c", watch)} //nolint:noctx // it ends with its standard input
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

// hearBeats gives cmd a file descriptor for the details of its heartbeats.
func hearBeats(cmd *exec.Cmd, pipe *pipes, told io.Writer) error {
	theirs, err := pipe.take(told)
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(cmd.Env, beatVariable+"="+strconv.Itoa(beatDescriptor))
	return nil
}

// start runs cmd in the group. When its context ends, the group is asked to.
func (g *group) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.pid}
	cmd.Cancel = func() error {
		err := syscall.Kill(-g.pid, syscall.SIGTERM)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if g.pid == 0 {
		g.pid = cmd.Process.Pid
	}
	return nil
}

// kill ends what is in the group.
func (g *group) kill() { _ = syscall.Kill(-g.pid, syscall.SIGKILL) } // ESRCH: nothing is left

// end is behind the end of the program.
func (g *group) end() {
	if g.pid != 0 {
		g.kill()
	}
	if g.watcher != nil {
		_ = g.hold.Close()
		_ = g.watcher.Wait() // it was killed
	}
}
