package kafkatest

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"runtime"
	"sync"
)

// process is a child that does not outlive us, even when we are killed.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child is gone
}

// startProcess starts args with its output going to out. ctx carries values
// only: the child's end is its owner's business, not the context's.
func startProcess(ctx context.Context, out io.Writer, args ...string) (*process, error) {
	p := &process{done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	bind(p.cmd)
	started := make(chan error, 1)
	go func() {
		// Linux kills the child when the thread that made it ends, and the Go
		// runtime ends threads as it likes. Waiting here, on a locked thread,
		// keeps that thread for as long as the child runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		release := guard(p.cmd.Process.Pid)
		_ = p.cmd.Wait() // how it ended is in its log
		release()
	}()
	return p, <-started
}

// watch copies what is written and closes seen when the text comes by.
type watch struct {
	to   io.Writer
	text []byte
	seen chan struct{}
	once sync.Once
	line []byte // of the last, unfinished line
}

func (w *watch) Write(b []byte) (int, error) {
	w.line = append(w.line, b...)
	if bytes.Contains(w.line, w.text) {
		w.once.Do(func() { close(w.seen) })
	}
	w.line = w.line[bytes.LastIndexByte(w.line, '\n')+1:]
	return w.to.Write(b)
}
