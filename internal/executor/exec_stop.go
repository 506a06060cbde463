package executor

import (
	"sync"
	"time"

	"github.com/leat-io/leat/internal/process"
)

// Programs is the set of running programs, for code that has to end them at once.
// The code that handles the end of the process owns it and gives it to each
// [Program]. The zero value is ready to use, a nil one records nothing.
type Programs struct {
	mu   sync.Mutex
	open map[*process.Group]chan struct{}
}

func (p *Programs) enlist(g *process.Group) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = make(map[*process.Group]chan struct{})
	}
	p.open[g] = make(chan struct{})
}

func (p *Programs) dismiss(g *process.Group) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if over, ok := p.open[g]; ok {
		close(over)
		delete(p.open, g)
	}
}

// Kill ends every program that runs, and what it started, without grace. It is
// for a process that is about to exit: a program must not go on while its task is
// given to another executor.
func (p *Programs) Kill() {
	giveUp := time.After(time.Second) // nothing holds a killed program for long
	for _, over := range p.kill() {
		select {
		case <-over:
		case <-giveUp:
			return
		}
	}
}

// kill says of each program when its end was seen.
func (p *Programs) kill() (over []chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for g, ended := range p.open {
		g.Kill()
		over = append(over, ended)
	}
	return over
}
