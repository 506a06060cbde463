package events

import (
	"maps"
	"reflect"
	"slices"
)

// EventType says what an event records. A kind is added where its neighbours are:
// kinds_workflow.go, kinds_task.go and kinds_chart.go have the types, what they
// mean and the structs of their data.
type EventType string

// EventKind says what events of one type record and carry.
type EventKind struct {
	Type    EventType
	Meaning string // what happened
	Data    any    // the zero struct that [Event.Data] decodes into; nil when there is no data
	Payload string // what [Event.Payload] is; "" when there is none
}

// EventKinds lists every kind, in the order in which the schema lists the types.
func EventKinds() []EventKind { return slices.Concat(workflowKinds(), taskKinds(), chartKinds()) }

// EventTypes lists the closed set.
func EventTypes() []EventType { return slices.Clone(eventTypes) }

// eventTypes is made once: every event that is written or read is held against it.
var eventTypes = func() (types []EventType) {
	for _, kind := range EventKinds() {
		types = append(types, kind.Type)
	}
	return types
}()

// Undeclared lists what an event carries that its kind does not declare, such as
// "data.colour", in the order of keys. A router writes nothing of the sort, but an
// event of a later version may have it.
func (e *Event) Undeclared() (list []string) {
	kinds := EventKinds()
	at := slices.IndexFunc(kinds, func(k EventKind) bool { return k.Type == e.EventType })
	if at < 0 {
		return []string{"event_type"}
	}
	list = undeclared("data.", kinds[at].Data, e.Data)
	list = append(list, undeclared("metadata.", EventMetadata{}, e.Metadata)...)
	if e.Payload != nil && kinds[at].Payload == "" {
		list = append(list, "payload")
	}
	return list
}

// undeclared lists the keys that are another value, or gone, when they were read
// into a struct and written again.
func undeclared(prefix string, kind any, data map[string]ContextValue) (list []string) {
	var again map[string]ContextValue
	if kind != nil {
		read := reflect.New(reflect.TypeOf(kind))
		if err := DecodeData(data, read.Interface()); err != nil {
			return []string{prefix + err.Error()}
		}
		again = EncodeData(read.Interface())
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if !again[key].Equal(data[key]) {
			list = append(list, prefix+key)
		}
	}
	return list
}
