package instance

import (
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// What is said of a command that led to no event, and of a duplicate where the
// first decision is.
func TestOutcomeText(t *testing.T) {
	for _, c := range []struct {
		outcome events.Outcome
		want    string
	}{
		{events.Outcome{Status: events.OutcomeDuplicate, SequenceNumber: 3}, "duplicate: already decided at sequence 3"},
		{events.Outcome{Status: events.OutcomeDuplicate}, "duplicate: already decided"}, // it led to no event
		{events.Outcome{Status: events.OutcomeIgnored}, "ignored"},
		{events.Outcome{Status: events.OutcomeIgnored, Error: &events.Error{Message: "no handler"}}, "ignored: no handler"},
		{events.Outcome{Status: events.OutcomeHeld, Error: &events.Error{Code: "PAUSED", Message: "later"}}, "held: PAUSED later"},
	} {
		if got := OutcomeText(&c.outcome); got != c.want {
			t.Errorf("%+v is shown as %q, want %q", c.outcome, got, c.want)
		}
	}
}
