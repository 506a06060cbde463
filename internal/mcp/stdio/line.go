package stdio

import "sync/atomic"

// Line is a message on its way to a process.
type Line struct {
	bytes []byte
	state atomic.Int32
}

// The states of a line. From queued it goes to one of the others, once.
const (
	queued int32 = iota
	taken        // it is being written, or was
	dropped
)

// NewLine makes a line of a message, which holds no newline.
func NewLine(message []byte) *Line { return &Line{bytes: append(message, '\n')} }

// Drop takes the line back. False: it is being written, or was; nobody knows how
// far it came.
func (l *Line) Drop() bool {
	return l.state.CompareAndSwap(queued, dropped) || l.state.Load() == dropped
}
