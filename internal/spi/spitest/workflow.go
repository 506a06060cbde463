package spitest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// WorkflowDefinition is the workflow that a setup serves, in the definition
// language: a start leads to workflow.created and workflow.started, the signal
// "note" to one state.transitioned, the signal "close" to state.transitioned and
// workflow.completed.
const WorkflowDefinition = `leat: v1
type: ledger
version: 1
data: {n: {type: long, default: 0}}
initial: open
states:
  open:
    on:
      note: {assign: {n: data.n + 1}}
      close: closed
  closed: {type: final}
`

// WorkflowSetup is what a case works with.
type WorkflowSetup struct {
	Bus        workflow.EventBus
	Store      workflow.Persistence
	Snapshots  workflow.Snapshots
	Type       string // serves WorkflowDefinition
	Partitions int32  // of Type
	MaxReplay  int    // how many events ReplayEvents lists; at least 20, at most 500
}

// TestWorkflow runs every case of the contracts of internal/spi/workflow. open gives
// a fresh setup, and closes it in t.Cleanup.
func TestWorkflow(t *testing.T, open func(t *testing.T) WorkflowSetup) {
	t.Helper()
	runCases(t, WorkflowCases(), open)
}

// WorkflowCases lists the promises of the contracts of internal/spi/workflow.
func WorkflowCases() []Case[WorkflowSetup] {
	return []Case[WorkflowSetup]{
		{"PublishIsAcknowledgedWithTheEvent", publishAcknowledged},
		{"PublishDoesNotWaitForDecisions", commandsDoNotWait},
		{"PublishRefuses", commandsRefused},
		{"DuplicatesAreRecognised", duplicatesRecognised},
		{"ExpectedSequenceAdmitsOne", expectedSequence},
		{"ReplayIsExact", replayExact},
		{"ReplayRefuses", replayRefuses},
		{"StreamIsLimited", streamLimited},
		{"StreamIsLazyAndCanBeCancelled", streamLazy},
		{"SubscribersSeeInstancesInSequence", subscribersInSequence},
		{"FiltersAdvancePastWhatDoesNotMatch", filtersAdvance},
		{"SubscribeRefuses", eventsRefused},
		{"SnapshotsReflectWhatWasAcknowledged", snapshotsReflect},
	}
}

// unknownType is a workflow type that no setup serves.
const unknownType = "nobody-deployed-this"

// start and signal make commands, each with an id of its own.
func (s WorkflowSetup) start(id events.UUID) events.Command {
	return events.Command{Command: events.CommandStart, WorkflowType: s.Type, InstanceID: id, CommandID: newID()}
}

func (s WorkflowSetup) signal(id events.UUID, name string) events.Command {
	return events.Command{Command: events.CommandSignal, WorkflowType: s.Type, InstanceID: id, CommandID: newID(), Event: name}
}

// ask publishes one command and waits for its decision.
func (s WorkflowSetup) ask(ctx context.Context, c events.Command) (workflow.Ack, error) {
	type answer struct {
		ack workflow.Ack
		err error
	}
	done := make(chan answer, 1)
	s.Bus.PublishCommand(ctx, c, func(ack workflow.Ack, err error) { done <- answer{ack, err} })
	a, err := wait(ctx, done, fmt.Sprintf("the decision on a %s", c.Command))
	if err != nil {
		return workflow.Ack{}, err
	}
	return a.ack, a.err
}

// begin starts an instance and signals it until its history has n events.
func (s WorkflowSetup) begin(ctx context.Context, id events.UUID, n int) error {
	done := newCollector[error]()
	s.Bus.PublishCommand(ctx, s.start(id), func(_ workflow.Ack, err error) { done.add(err) })
	for range n - 2 {
		s.Bus.PublishCommand(ctx, s.signal(id, "note"), func(_ workflow.Ack, err error) { done.add(err) })
	}
	all, err := done.count(ctx, n-1)
	return errors.Join(append(all, err)...)
}

// neighbour is a new instance in the partition of id.
func (s WorkflowSetup) neighbour(id events.UUID) events.UUID {
	for {
		other := newID()
		if topics.Partition([]byte(other.String()), s.Partitions) == topics.Partition([]byte(id.String()), s.Partitions) {
			return other
		}
	}
}

// exactly wants the events of id with sequence numbers from … to, in order, and
// no others.
func (s WorkflowSetup) exactly(history []events.Event, id events.UUID, from, to int64) error {
	var p problems
	if n := int64(len(history)); n != max(to-from+1, 0) {
		p.addf("%d events, want those from %d to %d", n, from, to)
	}
	for i, e := range history {
		want := from + int64(i)
		if e.WorkflowType != s.Type || e.InstanceID != id || e.SequenceNumber != want || e.EventID != events.EventID(s.Type, id, want) {
			p.addf("event %d is %s %s %d", i, e.WorkflowType, e.InstanceID, e.SequenceNumber)
		}
		if err := e.Validate(); err != nil {
			p.addf("event %d: %v", i, err)
		}
	}
	return p.err()
}
