package fsm

import (
	"encoding/json"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// InputKind says what an [Input] is.
type InputKind uint8

// The kinds of input.
const (
	InputStart     InputKind = iota + 1 // begin; the chart is the zero Chart
	InputEvent                          // a signal
	InputClaim                          // an executor has begun an attempt
	InputHeartbeat                      // an executor is still at it
	InputResult                         // an attempt has ended
	InputTimer                          // a timer of the chart is due
	InputStop                           // the instance is ended from outside
	InputRetry                          // a person wants what failed to be tried again
	InputMigrate                        // of [Machine.Migrate] only
	InputReset                          // of [Machine.Reset] only
)

// Instance is who decides. It is the same in every step of one instance, except
// that Version changes when it is migrated.
type Instance struct {
	ID        events.UUID
	Type, Key string
	Version   int32
}

// Input is one thing that happens to an instance.
type Input struct {
	Kind     InputKind
	Instance Instance
	Now      time.Time // of the decision; while a timer fires the clock stands at its Due
	Name     string    // InputEvent: the signal's name
	// Data is the start payload, the signal's data or the task's result; nil is null.
	Data    json.RawMessage
	Task    *events.TaskResult // InputClaim, InputHeartbeat, InputResult
	TimerID int64              // InputTimer
	Stop    Stop               // InputStop
	Skip    bool               // InputRetry: a task that undoes and has failed is given up
	// Seed gives every attempt that is issued its token ([events.ClaimToken]):
	// random bytes, new for each decision or group of them. Without it attempts
	// have none, as where a history is decided again.
	Seed []byte
	// Work, when it is set, has what the step cost added to it, in units of
	// [MaxWork]: whoever decides many steps in a row bounds them together by it.
	Work *int
}
