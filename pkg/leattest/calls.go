package leattest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

// calls are the handlers that run. It is safe for concurrent use.
type calls struct {
	mu   sync.Mutex
	open map[*call]bool
}

type call struct {
	task  executor.Task
	since time.Time
}

// around is executor middleware that keeps the books.
func (c *calls) around(next executor.Handler) executor.Handler {
	return func(ctx context.Context, task executor.Task) (executor.Result, error) {
		one := &call{task: task, since: time.Now()}
		c.mu.Lock()
		if c.open == nil {
			c.open = make(map[*call]bool)
		}
		c.open[one] = true
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.open, one)
		}()
		return next(ctx, task)
	}
}

// since are those that have run for d or longer, by name.
func (c *calls) since(d time.Duration) string {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for one := range c.open {
		if now.Sub(one.since) >= d {
			names = append(names, fmt.Sprintf("%s of %s %s (attempt %d)", one.task.TaskName, one.task.WorkflowType, events.Show(one.task.InstanceKey), one.task.Attempt))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
