package memory

import (
	"context"
	"slices"
	"sync"
	"time"
)

// topic is a partitioned log with consumer groups. Each group has one worker a
// partition, which hands every entry to the member that the partition belongs to
// at that moment; so order and redelivery need no coordination.
type topic[T any] struct {
	mu     sync.Mutex
	logs   [][]T
	groups map[string]*group[T]
	grown  chan struct{} // closed when a log has grown or a group has changed
}

type group[T any] struct {
	next    []int  // of each partition, what to hand over next
	served  []bool // of each partition, whether a worker is there
	members []*member[T]
}

// member is one subscription.
type member[T any] struct {
	handle func(context.Context, T) error
	ctx    context.Context //nolint:containedctx // ends with the subscription
	busy   sync.WaitGroup  // handlers under way
}

func newTopic[T any](partitions int32) *topic[T] {
	return &topic[T]{logs: make([][]T, partitions), groups: make(map[string]*group[T]), grown: make(chan struct{})}
}

// add appends what entry returns for the offset, and returns it.
func (t *topic[T]) add(partition int32, entry func(offset int64) T) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := entry(int64(len(t.logs[partition])))
	t.logs[partition] = append(t.logs[partition], e)
	t.tell()
	return e
}

// tell wakes who waits for a change. t.mu is held.
func (t *topic[T]) tell() {
	close(t.grown)
	t.grown = make(chan struct{})
}

// subscribe adds a member; the func ends it and waits for its handlers.
func (t *topic[T]) subscribe(name string, handle func(context.Context, T) error) func(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member[T]{handle: handle, ctx: ctx}
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.groups[name]
	if g == nil {
		g = &group[T]{next: make([]int, len(t.logs)), served: make([]bool, len(t.logs))}
		t.groups[name] = g
	}
	g.members = append(g.members, m)
	for p, served := range g.served {
		if !served {
			g.served[p] = true
			go t.serve(g, p)
		}
	}
	t.tell()
	ended := make(chan struct{})
	end := sync.OnceFunc(func() {
		cancel()
		t.mu.Lock()
		g.members = slices.DeleteFunc(g.members, func(other *member[T]) bool { return other == m })
		t.tell()
		t.mu.Unlock()
		go func() {
			defer close(ended)
			m.busy.Wait()
		}()
	})
	return func(ctx context.Context) error {
		end()
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve hands the entries of one partition over until the group has no member.
func (t *topic[T]) serve(g *group[T], partition int) {
	pause := shortest
	for {
		m, entry, grown := t.pick(g, partition)
		switch {
		case m == nil && grown == nil:
			return
		case m == nil:
			<-grown
			continue
		}
		err := m.handle(m.ctx, entry)
		t.mu.Lock()
		if err == nil {
			g.next[partition]++
			pause = shortest
		}
		t.mu.Unlock()
		m.busy.Done()
		if err != nil {
			rest(m.ctx, pause)
			pause = min(2*pause, longest)
		}
	}
}

// How long a message that was not handled rests before it comes again.
const (
	shortest = 10 * time.Millisecond
	longest  = time.Second
)

// pick is what comes next and whose it is. Without a member grown says what to
// wait for; it is nil when the group is over.
func (t *topic[T]) pick(g *group[T], partition int) (m *member[T], entry T, grown chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case len(g.members) == 0:
		g.served[partition] = false
		return nil, entry, nil
	case g.next[partition] == len(t.logs[partition]):
		return nil, entry, t.grown
	}
	m = g.members[partition%len(g.members)]
	m.busy.Add(1)
	return m, t.logs[partition][g.next[partition]], t.grown
}

// rest waits for d or the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
