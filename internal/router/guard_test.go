package router

import (
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

func TestPanicCostsOneDecision(t *testing.T) {
	in := input{machine: new(fsm.Machine), now: time.UnixMicro(1), command: &events.Command{Command: events.CommandStart}}
	d, err := decide(in, nil)
	if err == nil || !strings.Contains(err.Error(), "panic: ") || !strings.Contains(err.Error(), "machine.go:") {
		t.Errorf("the error is %v, want one that names the panic and its place", err)
	}
	if d.next != nil || d.events != nil || d.outcome != nil {
		t.Errorf("something is left of the decision: %+v", d)
	}
	lane := newLane(Config{}, nil, nil, &book{})
	broken := &transaction{lane: lane}
	if err := broken.add(instance{}, &entry{}, decision{signals: []fsm.SendSignal{{}}}, maxRecord); err == nil {
		t.Error("no error of a decision that cannot be written")
	}
	if len(broken.records) > 0 {
		t.Errorf("%d records are left of it", len(broken.records))
	}
}
