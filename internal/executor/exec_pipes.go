package executor

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// pipes carry what a program reads and writes. They are ours and not those of
// os/exec, whose Wait waits for every process that holds one: a program's end is
// its own, whatever it left running.
type pipes struct {
	ours, theirs []*os.File
	copying      sync.WaitGroup // of what the program writes
}

func (p *pipes) feed(cmd *exec.Cmd, input io.Reader) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	cmd.Stdin = r
	p.ours, p.theirs = append(p.ours, w), append(p.theirs, r)
	go func() {
		_, _ = io.Copy(w, input) // a program need not read its input
		_ = w.Close()
	}()
	return nil
}

// take copies to out what the program writes to the returned file.
func (p *pipes) take(out io.Writer) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	p.ours, p.theirs = append(p.ours, r), append(p.theirs, w)
	p.copying.Go(func() { _, _ = io.Copy(out, r) })
	return w, nil
}

// started gives the program's ends away.
func (p *pipes) started() {
	for _, f := range p.theirs {
		_ = f.Close()
	}
	p.theirs = nil
}

// close takes what is left in the pipes. A process that left the group may hold
// one open: such a pipe is closed after a while.
func (p *pipes) close(within time.Duration) {
	p.started()
	giveUp := time.AfterFunc(within, func() {
		for _, f := range p.ours {
			_ = f.Close()
		}
	})
	p.copying.Wait()
	giveUp.Stop()
	for _, f := range p.ours {
		_ = f.Close()
	}
}
