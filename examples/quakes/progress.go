package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how many are done: a bar on a terminal, else a line each tenth.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	bar   *progressbar.ProgressBar // nil: lines
	total int
	shown int
}

func newProgress(out *os.File, total int) *progress {
	p := &progress{out: out, total: total}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("finished"),
			progressbar.OptionShowCount(), progressbar.OptionSetWidth(40), progressbar.OptionThrottle(50*time.Millisecond),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	}
	return p
}

// isTerminal reports whether people see what is written.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && f.Name() != os.DevNull
}

// set shows that n are done.
func (p *progress) set(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, p.total)
	if p.bar != nil {
		_ = p.bar.Set(n)
		return
	}
	if tenth := max(p.total/10, 1); n/tenth > p.shown/tenth || n == p.total && p.shown < n {
		_, _ = fmt.Fprintf(p.out, "finished %d of %d\n", n, p.total)
		p.shown = n
	}
}

// say prints a line, above the bar if there is one.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	_, _ = fmt.Fprintf(p.out, format+"\n", args...)
	if p.bar != nil {
		_ = p.bar.RenderBlank()
	}
}

// end leaves the line to others.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
