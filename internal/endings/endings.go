// Package endings is how a projector tells that instances have ended: what goes
// over the wire, and the bounded queue that all who listen share.
package endings

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// The kinds of messages of a stream of ends.
const (
	KindEnd     = "end"     // an [End]
	KindOutcome = "outcome" // an [events.Outcome], of a start that led to nothing
	KindError   = "error"   // a problem: the stream is over, and may be asked for again
)

// Request is what whoever listens has waited for until then. What is known of it is
// told first.
type Request struct {
	Instances []events.UUID `json:"instances,omitempty" maxItems:"50000" doc:"Instances that are waited for. The ends of those that are finished are sent first."`
	Commands  []events.UUID `json:"commands,omitempty" maxItems:"50000" doc:"Commands whose outcomes are waited for. Those that are there are sent first."`
	Since     time.Time     `json:"since,omitzero" doc:"Not before the first of the commands was sent. Required with commands."`
}

// MaxWaiting bounds Instances and Commands.
const MaxWaiting = 50_000

// MaxBody bounds a request as JSON, in bytes: both lists at their most.
const MaxBody = 4 << 20

// End says that an instance has ended, and how.
type End struct {
	WorkflowType   string               `json:"workflow_type"`
	InstanceID     events.UUID          `json:"instance_id"`
	Key            string               `json:"key,omitempty"`
	SequenceNumber int64                `json:"sequence_number"` // of its last event
	State          events.WorkflowState `json:"state,omitempty"` // "" when it is forgotten
	Output         json.RawMessage      `json:"output,omitempty"`
	Error          *events.Error        `json:"error,omitempty"`
	// Omitted says that Output is larger than MaxOutput and left out: ask for the
	// instance.
	Omitted bool `json:"output_omitted,omitempty"`
	// Forgotten says that its retention is over.
	Forgotten bool `json:"forgotten,omitempty"`
}

// MaxOutput bounds the output that a message carries, in bytes.
const MaxOutput = 16 << 10

// EndOf is the end of a finished instance.
func EndOf(s *events.Snapshot) End {
	e := End{
		WorkflowType: s.WorkflowType, InstanceID: s.InstanceID, Key: s.Key, SequenceNumber: s.SequenceNumber,
		State: s.State, Output: s.Output, Error: s.Error,
	}
	if len(e.Output) > MaxOutput {
		e.Output, e.Omitted = nil, true
	}
	return e
}

// Message is a server-sent event.
func Message(kind string, data any) ([]byte, error) {
	text, err := events.EncodeJSON(data)
	if err != nil {
		return nil, err
	}
	message := make([]byte, 0, len(kind)+len(text)+len("event: \ndata: \n\n"))
	message = append(message, "event: "...)
	message = append(message, kind...)
	message = append(message, "\ndata: "...)
	message = append(message, text...)
	return append(message, "\n\n"...), nil
}

// Journal holds the newest messages for all who listen: each reads at its own pace,
// and whoever falls further behind than the journal reaches has to begin again. It
// is safe for concurrent use; the zero value is ready.
type Journal struct {
	mu      sync.Mutex
	first   int64 // number of messages[0]
	list    [][]byte
	bytes   int
	changed chan struct{} // closed when there is more; nil while nobody waits
}

// A journal reaches further back than the largest batch that is folded at once.
const (
	journalMessages = 32_768
	journalBytes    = 16 << 20
)

// ErrBehind is the error of who has fallen too far behind.
var ErrBehind = errors.New("what comes next is not held any longer")

// Append adds messages, which must not be changed any more.
func (j *Journal) Append(messages ...[]byte) {
	if len(messages) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range messages {
		j.list = append(j.list, m)
		j.bytes += len(m)
	}
	drop := 0
	for len(j.list)-drop > journalMessages || j.bytes > journalBytes {
		j.bytes -= len(j.list[drop])
		j.list[drop] = nil
		drop++
	}
	j.list, j.first = j.list[drop:], j.first+int64(drop)
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// End is the number of the message that comes next.
func (j *Journal) End() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + int64(len(j.list))
}

// pageMessages is how many messages are read at once.
const pageMessages = 256

// Next gives the messages from number from on, some of them when they are many.
// Without any, more is closed when there is one. The error is [ErrBehind].
func (j *Journal) Next(from int64) (messages [][]byte, more <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	at := from - j.first
	switch {
	case at < 0:
		return nil, nil, ErrBehind
	case at < int64(len(j.list)):
		rest := j.list[at:]
		return append([][]byte(nil), rest[:min(len(rest), pageMessages)]...), nil, nil
	}
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return nil, j.changed, nil
}
