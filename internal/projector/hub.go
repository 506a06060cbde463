package projector

import (
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/pkg/events"
)

// hub wakes those who wait for news of an instance. It carries no news itself:
// who is woken reads the views, so that nothing is lost, no queue grows, and a
// slow reader holds up only itself.
type hub struct {
	mu      sync.Mutex
	waiting map[views.Name]map[*waiter]bool
}

// waiter is one who waits, for one or more instances.
type waiter struct {
	hub   *hub
	names []views.Name
	news  chan struct{} // holds one wake-up; more would say no more
}

// watch begins to wait. Close the waiter when done.
func (h *hub) watch(names ...views.Name) *waiter {
	w := &waiter{hub: h, names: names, news: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range names {
		h.add(n, w)
	}
	return w
}

func (h *hub) add(n views.Name, w *waiter) {
	if h.waiting == nil {
		h.waiting = make(map[views.Name]map[*waiter]bool)
	}
	if h.waiting[n] == nil {
		h.waiting[n] = make(map[*waiter]bool)
	}
	h.waiting[n][w] = true
}

// also waits for n too.
func (w *waiter) also(n views.Name) {
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
func (h *hub) publish(changed []views.Touched) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return
	}
	for _, c := range changed {
		h.wake(c.Name)
		if c.Key == "" {
			continue
		}
		if derived := events.InstanceIDForKey(c.Type, c.Key); derived != c.ID {
			h.wake(views.Name{Type: c.Type, ID: derived})
		}
	}
}

func (h *hub) wake(n views.Name) {
	for w := range h.waiting[n] {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}
