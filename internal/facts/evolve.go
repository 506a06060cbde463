package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/leat-io/leat/pkg/events"
)

// MigratePayload is the payload of a migrate command.
type MigratePayload struct {
	States map[string]string `json:"states,omitempty"` // state of the new version by state of the old one; others keep their id
}

// ResetPayload is the payload of a reset command: where to, and the inputs that
// led there, so that a router, which keeps no histories, can decide them again.
type ResetPayload struct {
	ResetTo int64  `json:"reset_to"`
	Facts   []Fact `json:"facts"`
}

// ForReset makes the payload that takes an instance back to a sequence. The error
// says why that cannot be: the sequence is not in the history, is not where a
// decision ends, or work was undone since then.
func ForReset(history []events.Event, to int64) (ResetPayload, error) {
	list, err := Read(history)
	if err != nil {
		return ResetPayload{}, err
	}
	ends := make([]int64, len(list))
	for i := range list {
		ends[i] = list[i].Sequence + int64(list[i].Count) - 1
	}
	at := slices.Index(ends, to)
	switch {
	case len(list) == 0:
		return ResetPayload{}, errors.New("there is no history")
	case to < 1 || to > ends[len(ends)-1]:
		return ResetPayload{}, fmt.Errorf("there is no sequence %d: the history has 1 to %d", to, ends[len(ends)-1])
	case at < 0:
		return ResetPayload{}, fmt.Errorf("sequence %d is in the middle of a decision; the nearest ones that end one are %s", to, around(ends, to))
	case at == len(ends)-1:
		return ResetPayload{}, fmt.Errorf("sequence %d is already the newest event of the instance", to)
	}
	for i := to; i < int64(len(history)); i++ {
		if e := &history[i]; e.EventType == events.EventCompensationStarted {
			return ResetPayload{}, fmt.Errorf("sequence %d began to compensate: after going back to %d that work would count as done", e.SequenceNumber, to)
		}
	}
	p := ResetPayload{ResetTo: to, Facts: slices.Clone(list[:at+1])}
	for i := range p.Facts {
		p.Facts[i].strip()
	}
	return p, nil
}

// strip drops what the receiver of a fact knows.
func (f *Fact) strip() {
	f.Source = ""
	if f.Command == nil {
		return
	}
	c := *f.Command
	c.WorkflowType, c.InstanceID, c.Source = "", events.Nil, keepSource(&c)
	if c.Priority == events.PriorityNormal {
		c.Priority = ""
	}
	f.Command = &c
}

// keepSource is the name that a decision depends on: that of an operator.
func keepSource(c *events.Command) string {
	switch c.Command {
	case events.CommandStart, events.CommandSignal, events.CommandClaim, events.CommandHeartbeat, events.CommandResult:
		return ""
	default:
		return c.Source
	}
}

// Of completes a fact that was stripped with the instance that it is of.
func (f *Fact) Of(workflowType string, instance events.UUID) {
	if f.Command == nil {
		return
	}
	c := *f.Command
	c.WorkflowType, c.InstanceID = workflowType, instance
	c.Resolve(c.CommandID)
	f.Command = &c
}

// ReadReset reads the payload of a reset command.
func ReadReset(payload json.RawMessage) (ResetPayload, error) {
	var p ResetPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return p, fmt.Errorf("the payload of a reset is {reset_to, facts}: %w", err)
	}
	if p.ResetTo < 1 || len(p.Facts) == 0 || p.Facts[0].Command == nil || p.Facts[0].Command.Command != events.CommandStart {
		return p, errors.New("the payload of a reset is {reset_to, facts}, and the facts begin with the start")
	}
	return p, nil
}

func around(ends []int64, to int64) string {
	i, _ := slices.BinarySearch(ends, to)
	if i == 0 {
		return strconv.FormatInt(ends[0], 10)
	}
	return fmt.Sprintf("%d and %d", ends[i-1], ends[i])
}
