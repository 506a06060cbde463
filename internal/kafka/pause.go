package kafka

import (
	"context"
	"errors"
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

// AwayFor is how long whoever follows a topic waits before an absent broker is asked
// again.
const AwayFor = time.Second

// KeepOn calls follow again whenever it ends, until ctx ends. Topics that cannot be
// used ([TopicError]) end it; every other error is given to failed, and waited upon.
func KeepOn(ctx context.Context, follow func(context.Context) error, failed func(error)) error {
	for ctx.Err() == nil {
		err := follow(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // whatever it ended with, it was told to end
		}
		if _, ok := errors.AsType[*TopicError](err); ok {
			return err
		}
		failed(err)
		Pause(ctx, AwayFor)
	}
	return nil
}
