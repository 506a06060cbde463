package kafka

import (
	"context"
	"time"
)

// Pause waits for d or the end of ctx: what everybody does before they ask a
// broker again.
func Pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
