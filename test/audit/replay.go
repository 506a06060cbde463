package audit

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// takeDefinition keeps the first record of each version of the type: a deployed
// version never changes.
func (b *Books) takeDefinition(r *kgo.Record) error {
	if r.Value == nil {
		return nil
	}
	d, err := avro.DecodeDefinition(r.Value)
	if err != nil || d.Key() != string(r.Key) || d.WorkflowType != b.workflowType || b.machines[d.Version] != nil {
		return err
	}
	machine, _, err := definition.Parse(fmt.Sprintf("%s@%d", d.WorkflowType, d.Version), []byte(d.Source))
	if err != nil {
		return nil //nolint:nilerr // a test may deploy what no router can use
	}
	b.machines[d.Version] = machine
	return nil
}

// checkReplay: the history decided again gives the same events, and the instance
// stands where its newest snapshot says.
func (b *Books) checkReplay(id events.UUID, list []Event) {
	r, err := b.replay(list)
	switch {
	case err != nil:
		b.failf("%s cannot be replayed: %v", id, err)
	case r.Difference != nil:
		b.failf("%s/%d replays differently: %s %+v", id, r.Difference.Sequence, r.Difference.Why, r.Difference.Fields)
	default:
		states := b.States[id]
		if n := len(states); n > 0 && states[n-1].SequenceNumber == list[len(list)-1].SequenceNumber {
			if diff := decide.Stands(&states[n-1], r.Snapshot); diff != "" {
				b.failf("%s stands elsewhere than its replay: %s", id, diff)
			}
		}
	}
}

func (b *Books) replay(list []Event) (decide.Replayed, error) {
	history := make([]events.Event, len(list))
	for i := range list {
		history[i] = list[i].Event
	}
	return decide.Replay(history, func(version int32) *fsm.Machine { return b.machines[version] }, 0)
}
