package decide

import (
	"fmt"
	"runtime"
	"strings"
)

// Rescue makes an error of a panic. It stands around what depends on foreign
// data (reading a command, deciding it, writing what follows), so that a bug
// there costs one command and not the router, and the next one after it.
func Rescue(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v, at %s", cause, panicked())
	}
}

// panicked is the place of the panic that is being recovered from.
func panicked() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return fmt.Sprintf("%s:%d", frame.File, frame.Line)
		}
	}
}
