package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

func TestPanicIsAnError(t *testing.T) {
	in := Input{Machine: new(fsm.Machine), Now: time.UnixMicro(1), Command: &events.Command{Command: events.CommandStart}}
	d, err := Decide(in, nil)
	if err == nil || !strings.Contains(err.Error(), "panic: ") || !strings.Contains(err.Error(), "machine.go:") {
		t.Errorf("the error is %v, want one that names the panic and its place", err)
	}
	if d.Next != nil || d.Events != nil || d.Outcome != nil {
		t.Errorf("something is left of the decision: %+v", d)
	}
}
