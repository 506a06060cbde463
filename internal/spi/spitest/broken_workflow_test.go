package spitest_test

import (
	"context"
	"iter"
	"testing"

	"github.com/leat-io/leat/internal/spi/spitest"
	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

// brokenEngine breaks one method or the other; nil keeps it.
type brokenEngine struct {
	workflow.EventBus
	store     workflow.Persistence
	snapshots workflow.Snapshots

	publish   func(context.Context, events.Command, func(workflow.Ack, error))
	replay    func(context.Context, string, events.UUID, int64) ([]events.Event, error)
	subscribe func(context.Context, workflow.Subscription, workflow.Handler) (workflow.Unsubscribe, error)
	stream    func(context.Context, string, events.UUID, int) iter.Seq2[events.Event, error]
	load      func(context.Context, string, events.UUID) (events.Snapshot, error)
}

func (b *brokenEngine) PublishCommand(ctx context.Context, c events.Command, done func(workflow.Ack, error)) {
	if b.publish == nil {
		b.EventBus.PublishCommand(ctx, c, done)
		return
	}
	b.publish(ctx, c, done)
}

func (b *brokenEngine) ReplayEvents(ctx context.Context, workflowType string, id events.UUID, from int64) ([]events.Event, error) {
	if b.replay == nil {
		return b.EventBus.ReplayEvents(ctx, workflowType, id, from)
	}
	return b.replay(ctx, workflowType, id, from)
}

func (b *brokenEngine) SubscribeEvents(ctx context.Context, s workflow.Subscription, handle workflow.Handler) (workflow.Unsubscribe, error) {
	if b.subscribe == nil {
		return b.EventBus.SubscribeEvents(ctx, s, handle)
	}
	return b.subscribe(ctx, s, handle)
}

func (b *brokenEngine) EventsStream(ctx context.Context, workflowType string, id events.UUID, limit int) iter.Seq2[events.Event, error] {
	if b.stream == nil {
		return b.store.EventsStream(ctx, workflowType, id, limit)
	}
	return b.stream(ctx, workflowType, id, limit)
}

func (b *brokenEngine) LoadSnapshot(ctx context.Context, workflowType string, id events.UUID) (events.Snapshot, error) {
	if b.load == nil {
		return b.snapshots.LoadSnapshot(ctx, workflowType, id)
	}
	return b.load(ctx, workflowType, id)
}

// breakEngine is a breakage whose func changes b, given what is good.
func breakEngine(name, found string, change func(b *brokenEngine, good spitest.WorkflowSetup)) breakage[spitest.WorkflowSetup] {
	return breakage[spitest.WorkflowSetup]{name, func(s spitest.WorkflowSetup) spitest.WorkflowSetup {
		b := &brokenEngine{EventBus: s.Bus, store: s.Store, snapshots: s.Snapshots}
		change(b, s)
		s.Bus, s.Store, s.Snapshots = b, b, b
		return s
	}, found}
}

func TestBrokenEnginesAreFound(t *testing.T) {
	breakages := []breakage[spitest.WorkflowSetup]{
		breakEngine("acknowledges without the event", "PublishIsAcknowledgedWithTheEvent", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.publish = func(ctx context.Context, c events.Command, done func(workflow.Ack, error)) {
				good.Bus.PublishCommand(ctx, c, func(ack workflow.Ack, err error) { ack.EventID = events.Nil; done(ack, err) })
			}
		}),
		breakEngine("completes before it returns", "PublishDoesNotWaitForDecisions", func(b *brokenEngine, _ spitest.WorkflowSetup) {
			b.publish = func(_ context.Context, _ events.Command, done func(workflow.Ack, error)) { done(workflow.Ack{}, nil) }
		}),
		breakEngine("takes everything", "PublishRefuses", func(b *brokenEngine, _ spitest.WorkflowSetup) {
			b.publish = func(_ context.Context, _ events.Command, done func(workflow.Ack, error)) {
				go done(workflow.Ack{}, nil)
			}
		}),
		breakEngine("does not look at idempotency keys", "DuplicatesAreRecognised", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.publish = func(ctx context.Context, c events.Command, done func(workflow.Ack, error)) {
				c.IdempotencyKey = ""
				good.Bus.PublishCommand(ctx, c, done)
			}
		}),
		breakEngine("does not look at the expected sequence", "ExpectedSequenceAdmitsOne", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.publish = func(ctx context.Context, c events.Command, done func(workflow.Ack, error)) {
				c.ExpectedSequence = nil
				good.Bus.PublishCommand(ctx, c, done)
			}
		}),
		breakEngine("replays from the next sequence", "ReplayIsExact", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.replay = func(ctx context.Context, workflowType string, id events.UUID, from int64) ([]events.Event, error) {
				return good.Bus.ReplayEvents(ctx, workflowType, id, from+1)
			}
		}),
		breakEngine("replays another instance's events too", "ReplayIsExact", func(b *brokenEngine, good spitest.WorkflowSetup) {
			var seen []events.UUID
			b.replay = func(ctx context.Context, workflowType string, id events.UUID, from int64) (all []events.Event, err error) {
				seen = append(seen, id)
				for _, one := range seen {
					list, err := good.Bus.ReplayEvents(ctx, workflowType, one, from)
					if err != nil {
						return nil, err
					}
					all = append(all, list...)
				}
				return all, nil
			}
		}),
		breakEngine("lists without a bound", "ReplayRefuses", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.replay = func(ctx context.Context, workflowType string, id events.UUID, _ int64) (all []events.Event, err error) {
				for e, err := range good.Store.EventsStream(ctx, workflowType, id, 1<<20) {
					if err != nil {
						return nil, err
					}
					all = append(all, e)
				}
				return all, nil
			}
		}),
		breakEngine("streams without a limit", "StreamIsLimited", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.stream = func(ctx context.Context, workflowType string, id events.UUID, _ int) iter.Seq2[events.Event, error] {
				return good.Store.EventsStream(ctx, workflowType, id, 1<<20)
			}
		}),
		breakEngine("reads before the loop begins", "StreamIsLazyAndCanBeCancelled", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.stream = func(ctx context.Context, workflowType string, id events.UUID, _ int) iter.Seq2[events.Event, error] {
				all, err := good.Bus.ReplayEvents(ctx, workflowType, id, 1)
				return func(yield func(events.Event, error) bool) {
					for _, e := range all {
						if !yield(e, err) {
							return
						}
					}
				}
			}
		}),
		breakEngine("cannot be cancelled", "StreamIsLazyAndCanBeCancelled", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.stream = func(ctx context.Context, workflowType string, id events.UUID, limit int) iter.Seq2[events.Event, error] {
				return good.Store.EventsStream(context.WithoutCancel(ctx), workflowType, id, limit)
			}
		}),
		breakEngine("forgets what failed", "SubscribersSeeInstancesInSequence", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.subscribe = func(ctx context.Context, s workflow.Subscription, handle workflow.Handler) (workflow.Unsubscribe, error) {
				return good.Bus.SubscribeEvents(ctx, s, func(ctx context.Context, e events.Event) error {
					_ = handle(ctx, e)
					return nil
				})
			}
		}),
		breakEngine("does not filter", "FiltersAdvancePastWhatDoesNotMatch", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.subscribe = func(ctx context.Context, s workflow.Subscription, handle workflow.Handler) (workflow.Unsubscribe, error) {
				s.EventTypes = nil
				return good.Bus.SubscribeEvents(ctx, s, handle)
			}
		}),
		breakEngine("forgets where a filtered group was", "FiltersAdvancePastWhatDoesNotMatch", func(b *brokenEngine, good spitest.WorkflowSetup) {
			b.subscribe = func(ctx context.Context, s workflow.Subscription, handle workflow.Handler) (workflow.Unsubscribe, error) {
				if len(s.EventTypes) > 0 {
					s.Group += "-filtered"
				}
				return good.Bus.SubscribeEvents(ctx, s, handle)
			}
		}),
		breakEngine("subscribes to anything", "SubscribeRefuses", func(b *brokenEngine, _ spitest.WorkflowSetup) {
			b.subscribe = func(context.Context, workflow.Subscription, workflow.Handler) (workflow.Unsubscribe, error) {
				return func(context.Context) error { return nil }, nil
			}
		}),
		breakEngine("remembers an old snapshot", "SnapshotsReflectWhatWasAcknowledged", func(b *brokenEngine, good spitest.WorkflowSetup) {
			old := make(map[events.UUID]events.Snapshot)
			b.load = func(ctx context.Context, workflowType string, id events.UUID) (events.Snapshot, error) {
				if s, ok := old[id]; ok {
					return s, nil
				}
				s, err := good.Snapshots.LoadSnapshot(ctx, workflowType, id)
				if err == nil {
					old[id] = s
				}
				return s, err
			}
		}),
	}
	expectFound(t, spitest.WorkflowCases(), breakages, openWorkflow)
}
