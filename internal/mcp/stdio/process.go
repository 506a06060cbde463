// Package stdio runs a program that speaks in lines on its standard streams: it
// writes lines to it one after the other, reads what it writes without ever
// waiting for anybody, and ends it with all that it started.
//
// It knows nothing of what the lines mean, and starts nothing a second time.
package stdio

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/mcp/frame"
	"github.com/leat-io/leat/internal/process"
)

const (
	writeQueue = 256         // lines that wait to be written
	stderrTail = 2 << 10     // bytes of standard error that are kept
	stderrPart = 32 << 10    // read at once
	leaveTime  = time.Second // from the end of its input until it is asked to end
	killTime   = time.Second // from there until it is killed
	exitTime   = 100 * time.Millisecond
)

// Program is what to run. No shell sees it.
type Program struct {
	Argv []string
	Env  []string // the whole environment: nothing of this process's own is handed on
	Dir  string
}

// Listener gets what a process writes, from one goroutine. Its methods must not
// wait for the process.
type Listener interface {
	// Limit is how long the next line may be, in bytes.
	Limit() int
	// Line is valid until the method returns.
	Line(line []byte)
	// TooLong is a line beyond the limit, which was thrown away. id is that of the
	// message in it, "" when none was found.
	TooLong(id string)
	// Ended is the last: why the process speaks no more.
	Ended(why string)
}

// Process is a program that runs.
type Process struct {
	Began time.Time

	listener Listener
	group    *process.Group
	cmd      *exec.Cmd
	stdin    *os.File
	cancel   context.CancelFunc
	out      chan *Line
	gone     chan struct{} // closed when it speaks no more
	exited   chan struct{} // closed when it ended
	silent   chan struct{} // closed behind the last of its standard error
	work     sync.WaitGroup

	mu     sync.Mutex
	ended  bool
	stderr tail
	stop   sync.Once
}

// Start starts a program. listener is asked for the listener, before anything is
// read.
func Start(program Program, listener func(*Process) Listener) (*Process, error) {
	path, err := exec.LookPath(program.Argv[0])
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Process{
		Began: time.Now(), cancel: cancel, out: make(chan *Line, writeQueue),
		gone: make(chan struct{}), exited: make(chan struct{}), silent: make(chan struct{}), stderr: tail{most: stderrTail},
	}
	p.listener = listener(p)
	p.cmd = exec.CommandContext(ctx, path, program.Argv[1:]...) //nolint:gosec // the operator's own
	p.cmd.Args[0] = program.Argv[0]
	p.cmd.Dir, p.cmd.Env = program.Dir, append([]string{}, program.Env...)
	p.cmd.WaitDelay = killTime
	if err := p.begin(); err != nil {
		cancel()
		return nil, err
	}
	return p, nil
}

// begin makes the pipes and starts everybody who works on them. The pipes are
// ours: os/exec would wait for whoever holds one.
func (p *Process) begin() (err error) {
	var files []*os.File
	defer func() {
		if err != nil {
			for _, f := range files {
				_ = f.Close()
			}
		}
	}()
	pipe := func() (r, w *os.File) {
		if err != nil {
			return nil, nil
		}
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w
	}
	in, stdin := pipe()
	stdout, out := pipe()
	stderr, complaints := pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	p.stdin = stdin
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, complaints
	if p.group, err = process.NewGroup(); err != nil {
		return err
	}
	if err = p.group.Start(p.cmd); err != nil {
		p.group.End()
		return err
	}
	for _, theirs := range []*os.File{in, out, complaints} {
		_ = theirs.Close()
	}
	p.work.Go(func() { p.read(stdout) })
	p.work.Go(func() { p.complain(stderr) })
	p.work.Go(p.write)
	go p.wait(stdout, stderr)
	return nil
}

// wait is behind the end of the program: what is left of its group is ended, and
// what it wrote last is read, unless somebody outside of the group holds the pipes.
func (p *Process) wait(stdout, stderr *os.File) {
	_ = p.cmd.Wait() // how it ended is in its state
	close(p.exited)
	p.group.End()
	giveUp := time.AfterFunc(killTime, func() { p.end(p.cmd.ProcessState.String()) })
	defer giveUp.Stop()
	<-p.gone
	_ = stdout.Close()
	_ = stderr.Close()
	p.work.Wait()
	p.cancel()
}

// end is told once why there is no more.
func (p *Process) end(why string) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if said := strings.TrimSpace(p.stderr.String()); said != "" {
		why += "; the last of its standard error: " + said
	}
	p.mu.Unlock()
	p.listener.Ended(why)
	close(p.gone)
	_ = p.stdin.Close()
	p.group.Kill()
}

// Gone is closed when the process speaks no more.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Stop ends the program: its input ends, then it is asked, then it is killed. It
// returns when the program speaks no more, after some seconds at the most.
func (p *Process) Stop() {
	p.stop.Do(func() {
		_ = p.stdin.Close()
		for _, step := range []struct {
			wait time.Duration
			then func()
		}{{leaveTime, func() { _ = p.group.Terminate() }}, {killTime, p.group.Kill}, {killTime, func() { p.end("it was stopped") }}} {
			timer := time.NewTimer(step.wait)
			select {
			case <-p.gone:
				timer.Stop()
				return
			case <-timer.C:
				step.then()
			}
		}
	})
	<-p.gone
}

// Send queues a line. Its error is that of ctx; a process that is gone takes
// whatever it is given, and [Listener.Ended] has said so.
func (p *Process) Send(ctx context.Context, line *Line) error {
	select {
	case p.out <- line:
	case <-p.gone:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Post queues a line when there is room.
func (p *Process) Post(line *Line) bool {
	select {
	case p.out <- line:
		return true
	default:
		return false
	}
}

// write writes the lines, one after the other. One that was begun is written to
// its end: half of it would make the next one unreadable.
func (p *Process) write() {
	for {
		select {
		case line := <-p.out:
			if !line.state.CompareAndSwap(queued, taken) {
				continue
			}
			if _, err := p.stdin.Write(line.bytes); err != nil {
				return // its output ends, too, or it is killed
			}
		case <-p.gone:
			return
		}
	}
}

// read reads standard output to its end.
func (p *Process) read(stdout io.Reader) {
	in := frame.NewLines(stdout)
	for {
		line, id, over, err := in.Next(p.listener.Limit())
		switch {
		case over:
			p.listener.TooLong(id)
		case err == nil:
			p.listener.Line(line)
		}
		if err != nil {
			p.end(p.lastWords())
			return
		}
	}
}

// lastWords say why there is no more to read. The end of the process is waited for,
// for a moment: how it ended says more.
func (p *Process) lastWords() string {
	timer := time.NewTimer(exitTime)
	defer timer.Stop()
	for _, seen := range []chan struct{}{p.exited, p.silent} {
		select {
		case <-seen:
		case <-timer.C:
			return "it closed its standard output"
		}
	}
	return p.cmd.ProcessState.String()
}

// complain reads standard error, always: a process whose standard error is full
// stands still.
func (p *Process) complain(stderr io.Reader) {
	defer close(p.silent)
	part := make([]byte, stderrPart)
	for {
		n, err := stderr.Read(part)
		p.mu.Lock()
		p.stderr.add(part[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// tail keeps the last bytes that are written.
type tail struct {
	kept []byte
	most int
}

func (t *tail) add(b []byte) {
	if len(b) >= t.most {
		t.kept = append(t.kept[:0], b[len(b)-t.most:]...)
		return
	}
	if over := len(t.kept) + len(b) - t.most; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	t.kept = append(t.kept, b...)
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.kept), "") }
