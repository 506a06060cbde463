package executor

import "sync"

// groups is what runs in this process now, for who ends it at once.
var groups = struct {
	sync.Mutex
	open map[*group]bool
}{open: make(map[*group]bool)}

func (g *group) enlist() {
	groups.Lock()
	defer groups.Unlock()
	groups.open[g] = true
}

func (g *group) dismiss() {
	groups.Lock()
	defer groups.Unlock()
	delete(groups.open, g)
}

// KillPrograms ends every program that runs, and what it started, without
// grace. It is for a process that is about to exit: a program must not go on
// while its task is given to another executor.
func KillPrograms() {
	groups.Lock()
	defer groups.Unlock()
	for g := range groups.open {
		g.kill()
	}
}
