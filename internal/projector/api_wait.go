package projector

import (
	"context"
	"fmt"
	"net/http"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// finished waits until the instance is finished, for at most wait, and gives what
// is there then: an instance that still runs, or nil when there is none. An
// instance that is not there may have been started a moment ago, so that it is
// waited for too.
func (p *Projector) finished(ctx context.Context, r ref, wait string) (found *views.Instance, err error) {
	timeout, err := waitOf(wait)
	if err != nil {
		return nil, err
	}
	if !p.beginWait() {
		return nil, newProblem(http.StatusServiceUnavailable, problem.TooManyFollow, "Too many requests wait for an instance to finish",
			fmt.Sprintf("this projector serves %d", p.config.MaxWaits), "ask without wait, or ask another projector")
	}
	defer p.endWait()
	_, err = p.lookUntil(ctx, r, timeout, func(_ *store.DB, _ events.UUID, i *views.Instance) (bool, error) {
		found = i
		return i != nil && i.Workflow.Finished(), nil
	})
	return found, err
}

func (p *Projector) beginWait() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits >= p.config.MaxWaits {
		return false
	}
	p.waits++
	if p.config.Metrics.Waits != nil {
		p.config.Metrics.Waits(1)
	}
	return true
}

func (p *Projector) endWait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits--
	if p.config.Metrics.Waits != nil {
		p.config.Metrics.Waits(-1)
	}
}
