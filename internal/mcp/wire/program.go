package wire

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/process"
)

const (
	writeQueue = 256         // messages that wait to be written
	stderrTail = 2 << 10     // bytes of standard error that an error shows
	leaveTime  = time.Second // from the end of its input until it is asked to end
	exitTime   = 20 * time.Millisecond
	killTime   = time.Second      // from there until it is killed
	leastLine  = 1 << 20          // what a line may always have: not every message answers a call
	stderrPart = 32 << 10         // read at once
	noiseShown = 120              // bytes of a line that is no message, in the log
	noiseEvery = 10 * time.Second // how often one is logged
)

// program is one process that speaks MCP, from its start to its end.
type program struct {
	link   *pipeLink
	group  *process.Group
	cmd    *exec.Cmd
	stdin  *os.File
	cancel context.CancelFunc
	began  time.Time
	gone   chan struct{} // closed when it speaks no more
	exited chan struct{} // closed when it ended
	out    chan *outLine
	work   sync.WaitGroup
	calls  placement

	mu      sync.Mutex
	waiting map[int64]*waiter
	ended   bool
	why     string
	stderr  tail
	noisy   time.Time
	once    sync.Once
}

// waiter is a request that waits for its answer.
type waiter struct {
	ear    ear
	limit  int
	answer chan answered // holds one
	line   *outLine
}

type answered struct {
	m       message
	failure *Failure
}

// outLine is a message on its way to the process.
type outLine struct {
	bytes []byte
	state atomic.Int32
}

// The states of a line. From lineQueued it goes to one of the others, once.
const (
	lineQueued int32 = iota
	lineTaken        // it is being written, or was
	lineDropped
)

// startProgram starts the command of a subsystem. No shell sees it, and of this
// process's environment it gets nothing.
func startProgram(l *pipeLink) (*program, error) {
	target := &l.conn.target
	path, err := exec.LookPath(target.Command[0])
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{
		link: l, cancel: cancel, began: time.Now(), gone: make(chan struct{}), exited: make(chan struct{}), out: make(chan *outLine, writeQueue),
		waiting: make(map[int64]*waiter), calls: placement{offered: l.conn.me.offersPeople}, stderr: tail{most: stderrTail},
	}
	p.cmd = exec.CommandContext(ctx, path, target.Command[1:]...) //nolint:gosec // the operator's own
	p.cmd.Args[0] = target.Command[0]
	p.cmd.Dir, p.cmd.Env = target.Dir, append([]string{}, target.Env...)
	p.cmd.WaitDelay = killTime
	if err := p.begin(); err != nil {
		cancel()
		return nil, err
	}
	return p, nil
}

// begin makes the pipes and starts everybody who works on them. The pipes are
// ours: os/exec would wait for whoever holds one.
func (p *program) begin() (err error) {
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
func (p *program) wait(stdout, stderr *os.File) {
	_ = p.cmd.Wait()
	close(p.exited)
	p.group.End()
	giveUp := time.AfterFunc(killTime, func() { p.fail(p.cmd.ProcessState.String()) })
	defer giveUp.Stop()
	<-p.gone
	_ = stdout.Close()
	_ = stderr.Close()
	p.work.Wait()
	p.cancel()
}

// fail is the end: whoever waits is told, and the group is ended.
func (p *program) fail(why string) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if said := strings.TrimSpace(p.stderr.String()); said != "" {
		why += "; the last of its standard error: " + said
	}
	p.why = why
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	p.link.died(p, why)
	close(p.gone)
	_ = p.stdin.Close()
	p.group.Kill()
	for _, w := range waiting {
		w.answer <- answered{failure: failed(CodeUnavailable, w.line.evidence(), "its process ended: %s", why)}
	}
}

func (p *program) dead() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// stop ends the program: its input ends, then it is asked, then it is killed.
func (p *program) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		for _, step := range []struct {
			wait time.Duration
			then func()
		}{{leaveTime, func() { _ = p.group.Terminate() }}, {killTime, p.group.Kill}, {killTime, func() { p.fail("it was stopped") }}} {
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

// do sends a request and waits for its answer.
func (p *program) do(ctx context.Context, r *request, ear ear) (message, *Failure) {
	bytes, err := r.encode()
	if err != nil {
		return message{}, failed(CodeArguments, NotSent, "the request cannot be written as JSON: %v", err)
	}
	w := &waiter{ear: ear, limit: r.limit, answer: make(chan answered, 1), line: &outLine{bytes: append(bytes, '\n')}}
	if why, ok := p.enlist(r.id, w); !ok {
		return message{}, failed(CodeUnavailable, NotSent, "its process ended: %s", why)
	}
	defer p.dismiss(r.id)
	if r.method == "tools/call" {
		p.calls.enter(r.id, ear)
		defer p.calls.leave(r.id)
	}
	select {
	case p.out <- w.line:
	case a := <-w.answer:
		return a.m, a.failure
	case <-ctx.Done():
		return message{}, ended(ctx, NotSent)
	}
	select {
	case a := <-w.answer:
		return a.m, a.failure
	case <-ctx.Done():
		if w.line.state.CompareAndSwap(lineQueued, lineDropped) {
			return message{}, ended(ctx, NotSent)
		}
		p.cancelled(r)
		return message{}, ended(ctx, Unknown)
	}
}

// evidence is what the end of the process proves about a message.
func (l *outLine) evidence() Evidence {
	if l.state.CompareAndSwap(lineQueued, lineDropped) || l.state.Load() == lineDropped {
		return NotSent
	}
	return Unknown
}

// cancelled tells the server that nobody waits any more.
func (p *program) cancelled(r *request) {
	if r.method == "initialize" || r.method == "server/discover" {
		return
	}
	p.post(outgoing{
		Version: "2.0", Method: "notifications/cancelled", Params: cancelledParams{notation(r.id), "the caller does not wait any more"},
	})
}

// post sends what nobody waits for, when there is room.
func (p *program) post(out outgoing) {
	bytes, err := encode(out)
	if err != nil {
		return
	}
	select {
	case p.out <- &outLine{bytes: append(bytes, '\n')}:
	default:
		p.link.conn.opts.Log.Warn("message dropped: the process does not read", "subsystem", p.link.conn.target.ID, "method", out.Method)
	}
}

// tell sends what has no answer.
func (p *program) tell(ctx context.Context, out outgoing) *Failure {
	bytes, err := encode(out)
	if err != nil {
		return failed(CodeProtocol, NotSent, "a message cannot be written: %v", err)
	}
	select {
	case p.out <- &outLine{bytes: append(bytes, '\n')}:
		return nil
	case <-p.gone:
		return failed(CodeUnavailable, NotSent, "its process ended")
	case <-ctx.Done():
		return ended(ctx, NotSent)
	}
}

func (p *program) enlist(id int64, w *waiter) (why string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return p.why, false
	}
	p.waiting[id] = w
	return "", true
}

func (p *program) dismiss(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

// write writes the messages, one after the other. One that was begun is written to
// its end: half of it would make the next one unreadable.
func (p *program) write() {
	for {
		select {
		case line := <-p.out:
			if !line.state.CompareAndSwap(lineQueued, lineTaken) {
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

// complain reads standard error, always: a process whose standard error is full
// stands still.
func (p *program) complain(stderr io.Reader) {
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

// read reads standard output to its end.
func (p *program) read(stdout io.Reader) {
	in := newLines(stdout)
	for {
		line, id, over, err := in.next(p.limit())
		switch {
		case over:
			p.tooLong(id)
		case err == nil:
			p.take(line)
		}
		if err != nil {
			p.fail(p.lastWords())
			return
		}
	}
}

// lastWords say why there is no more to read. The end of the process is waited for,
// for a moment: how it ended says more.
func (p *program) lastWords() string {
	timer := time.NewTimer(exitTime)
	defer timer.Stop()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.String()
	case <-timer.C:
		return "it closed its standard output"
	}
}

// limit is how long the next line may be: as long as the longest answer that
// somebody waits for.
func (p *program) limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := leastLine
	for _, w := range p.waiting {
		limit = max(limit, w.limit)
	}
	return limit
}

// tooLong ends the one call whose answer was thrown away.
func (p *program) tooLong(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := strconv.ParseInt(id, 10, 64)
	w := p.waiting[n]
	if err != nil || w == nil {
		p.link.conn.stats.strays.Add(1)
		return
	}
	w.give(answered{failure: tooLong(w.limit)})
}

// give hands over the answer; a second one is dropped.
func (w *waiter) give(a answered) bool {
	select {
	case w.answer <- a:
		return true
	default:
		return false
	}
}

// take takes one line.
func (p *program) take(line []byte) {
	m, err := decode(line)
	if err != nil {
		p.noise(line)
		return
	}
	switch {
	case m.method == "":
		p.answered(&m, len(line))
	case m.id == nil:
		p.notified(&m)
	default:
		p.calls.ask(&m, p.link.conn.ids.Load(), p.post)
	}
}

// noise counts a line that is no message: some servers log to standard output.
func (p *program) noise(line []byte) {
	if len(strings.TrimSpace(string(line))) == 0 {
		return
	}
	p.link.conn.stats.noise.Add(1)
	if now := time.Now(); now.Sub(p.noisy) > noiseEvery {
		p.noisy = now
		p.link.conn.opts.Log.Warn("standard output holds what is no message", "subsystem", p.link.conn.target.ID,
			"line", p.link.conn.clean(cut(string(line), noiseShown)))
	}
}

func (p *program) answered(m *message, length int) {
	id, err := strconv.ParseInt(string(m.id), 10, 64)
	p.mu.Lock()
	w := p.waiting[id]
	p.mu.Unlock()
	if err != nil || w == nil {
		p.link.conn.stats.strays.Add(1)
		return
	}
	a := answered{m: *m}
	if length > w.limit {
		a = answered{failure: tooLong(w.limit)}
	}
	if !w.give(a) {
		p.link.conn.stats.strays.Add(1)
	}
}

// notified hands a notification to the request that it is for.
func (p *program) notified(m *message) {
	switch m.method {
	case "notifications/progress":
		if w := p.named(m); w != nil {
			w.ear.notification(m)
		}
	case "notifications/tools/list_changed":
		p.link.tellChanged()
	case "notifications/message":
		if call := p.calls.only(); call != nil { // else nobody can say whose it is
			call.notification(m)
		}
	}
}

// named finds the request whose token a notification names.
func (p *program) named(m *message) *waiter {
	f, err := fields(m.params)
	if err != nil {
		return nil
	}
	id, err := strconv.ParseInt(string(f["progressToken"]), 10, 64)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting[id]
}
