package fsm_test

import (
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

const door = `leat: v1
type: door
version: 1
data: {opened: {type: long, default: 0}}
initial: closed
states:
  closed:
    on: {push: {target: open, guard: data.opened < 2, assign: {opened: data.opened + 1}}}
  open:
    after: {10s: closed}
    on: {push: closed}
`

// A machine decides what follows from an input. It has no clock: the time of each
// decision comes with the input, and timers are effects for somebody else to keep.
func ExampleMachine_Step() {
	machine, _, err := definition.Parse("door.yaml", []byte(door))
	if err != nil {
		fmt.Println(err)
		return
	}
	var chart events.Chart
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	who := fsm.Instance{ID: events.InstanceIDForKey("door", "front"), Type: "door", Key: "front", Version: 1}
	for _, in := range []fsm.Input{
		{Kind: fsm.InputStart},
		{Kind: fsm.InputEvent, Name: "push"},
		{Kind: fsm.InputTimer, TimerID: 1},
	} {
		in.Instance, in.Now = who, now
		if in.Kind == fsm.InputTimer {
			in.TimerID, in.Now = chart.Timers[0].ID, chart.Timers[0].Due
		}
		next, effects, err := machine.Step(chart, in)
		if err != nil {
			fmt.Println(err)
			return
		}
		chart = next
		fmt.Println(chart.Active, chart.Data["opened"].Int())
		for _, effect := range effects {
			if set, ok := effect.(fsm.TimerSet); ok {
				fmt.Println("  timer in", set.Due.Sub(now))
			}
		}
	}
	// Output:
	// [closed] 0
	// [open] 1
	//   timer in 10s
	// [closed] 1
}
