package executor

import (
	"sync"
	"time"
)

// groups is what runs in this process now, for who ends it at once.
var groups = struct {
	sync.Mutex
	open map[*group]chan struct{}
}{open: make(map[*group]chan struct{})}

func (g *group) enlist() {
	groups.Lock()
	defer groups.Unlock()
	groups.open[g] = make(chan struct{})
}

func (g *group) dismiss() {
	groups.Lock()
	defer groups.Unlock()
	if over, ok := groups.open[g]; ok {
		close(over)
		delete(groups.open, g)
	}
}

// KillPrograms ends every program that runs, and what it started, without
// grace. It is for a process that is about to exit: a program must not go on
// while its task is given to another executor.
func KillPrograms() {
	giveUp := time.After(time.Second) // nothing holds a killed program for long
	for _, over := range kill() {
		select {
		case <-over:
		case <-giveUp:
			return
		}
	}
}

// kill says of each program when its end was seen.
func kill() (over []chan struct{}) {
	groups.Lock()
	defer groups.Unlock()
	for g, ended := range groups.open {
		g.kill()
		over = append(over, ended)
	}
	return over
}
