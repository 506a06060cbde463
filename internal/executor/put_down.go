package executor

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// PutDown is what an attempt gave to [Continue] or [Ask].
type PutDown struct {
	State     json.RawMessage
	After     time.Duration
	Questions []events.Question
}

// PutDownOf reads the error of a [Runner] that put its attempt down. It is for those
// who run a runner themselves.
func PutDownOf(err error) (PutDown, bool) {
	p, ok := errors.AsType[*putDown](err)
	if !ok {
		return PutDown{}, false
	}
	return PutDown{p.state, p.after, p.questions}, true
}

// HandedBack reports whether the error of a [Runner] hands its attempt back.
func HandedBack(err error) bool {
	_, ok := errors.AsType[*handBack](err)
	return ok
}
