package projector

import (
	"slices"
	"sync"

	"github.com/leat-io/leat/pkg/events"
)

// hub wakes those who wait for news of an instance. It carries no news itself:
// who is woken reads the views, so that nothing is lost, no queue grows, and a
// slow reader holds up only itself.
type hub struct {
	mu      sync.Mutex
	waiting map[name]map[*waiter]bool
}

// waiter is one who waits, for one or more instances.
type waiter struct {
	hub   *hub
	names []name
	news  chan struct{} // holds one wake-up; more would say no more
}

// watch begins to wait. Close the waiter when done.
func (h *hub) watch(names ...name) *waiter {
	w := &waiter{hub: h, names: names, news: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range names {
		h.add(n, w)
	}
	return w
}

func (h *hub) add(n name, w *waiter) {
	if h.waiting == nil {
		h.waiting = make(map[name]map[*waiter]bool)
	}
	if h.waiting[n] == nil {
		h.waiting[n] = make(map[*waiter]bool)
	}
	h.waiting[n][w] = true
}

// also waits for n too.
func (w *waiter) also(n name) {
	if slices.Contains(w.names, n) {
		return
	}
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.names = append(w.names, n)
	w.hub.add(n, w)
}

func (w *waiter) close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	for _, n := range w.names {
		delete(w.hub.waiting[n], w)
		if len(w.hub.waiting[n]) == 0 {
			delete(w.hub.waiting, n)
		}
	}
}

// publish wakes those who wait for one of the instances, by its id or by the id
// that its business key would derive.
func (h *hub) publish(changed []touched) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return
	}
	for _, c := range changed {
		h.wake(c.name)
		if c.key == "" {
			continue
		}
		if derived := events.InstanceIDForKey(c.workflowType, c.key); derived != c.id {
			h.wake(name{c.workflowType, derived})
		}
	}
}

func (h *hub) wake(n name) {
	for w := range h.waiting[n] {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}
