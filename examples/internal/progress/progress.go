// Package progress tells people how far an example is.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar shows how many are done: a bar on a terminal, else a line each tenth.
type Bar struct {
	mu    sync.Mutex
	out   io.Writer
	bar   *progressbar.ProgressBar // nil: lines
	total int
	shown int
}

// New makes a bar for total things.
func New(out *os.File, total int) *Bar {
	p := &Bar{out: out, total: total}
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

// Set shows that n are done.
func (p *Bar) Set(n int) {
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

// Say prints a line, above the bar if there is one.
func (p *Bar) Say(format string, args ...any) {
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

// End leaves the line to others.
func (p *Bar) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
