// Package refund has a handler that asks a person and waits for a bank, without
// holding a slot: what docs/how-to/go-on-later.md explains.
package refund

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/executor"
)

// Refund is what the task is asked for.
type Refund struct {
	Amount int `json:"amount"`
}

// Receipt is what comes of it.
type Receipt struct {
	Transfer   string `json:"transfer"`
	ApprovedBy string `json:"approved_by,omitempty"`
}

// State is what the attempt is put down with.
type State struct {
	Transfer   string `json:"transfer,omitempty"` // at the bank, once it has begun
	ApprovedBy string `json:"approved_by,omitempty"`
}

// Bank is what the handler needs of one.
type Bank interface {
	Begin(ctx context.Context, amount int, key string) (transfer string, err error)
	Done(ctx context.Context, transfer string) (bool, error)
}

// Pay is the handler of bank.refund.
func Pay(bank Bank) func(ctx context.Context, in Refund) (Receipt, error) {
	return func(ctx context.Context, in Refund) (Receipt, error) {
		var s State
		again, err := executor.Continuation(ctx, &s)
		if err != nil {
			return Receipt{}, err
		}
		if !again && in.Amount > 100 {
			return Receipt{}, executor.Ask(s, executor.Question{
				ID: "approve", Message: fmt.Sprintf("Refund %d?", in.Amount), Assignee: "ann",
				Form: json.RawMessage(`{"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}`),
			})
		}
		for _, answer := range executor.Answers(ctx) {
			var said struct{ OK *bool }
			switch {
			case answer.Error != nil: // leat task fail
				return Receipt{}, executor.Fail("NOT_APPROVED", answer.Error.Message, false)
			case json.Unmarshal(answer.Result, &said) != nil || said.OK == nil: // it does not fit the form
				return Receipt{}, executor.Fail("BAD_ANSWER", "the answer has no ok that is true or false", false)
			case !*said.OK:
				return Receipt{}, executor.Fail("NOT_APPROVED", "not approved by "+answer.By, false)
			}
			s.ApprovedBy = answer.By
		}
		if s.Transfer == "" {
			if s.Transfer, err = bank.Begin(ctx, in.Amount, executor.TaskFrom(ctx).IdempotencyKey); err != nil {
				return Receipt{}, err
			}
		}
		done, err := bank.Done(ctx, s.Transfer)
		switch {
		case err != nil:
			return Receipt{}, err
		case !done:
			return Receipt{}, executor.Continue(s, time.Hour) // look again then
		}
		return Receipt(s), nil
	}
}
