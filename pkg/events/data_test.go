package events_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/events"
)

// Every struct of event data, filled, comes back from the values that it makes.
func TestDataComeBack(t *testing.T) {
	structs := []any{events.EventMetadata{}}
	for _, kind := range events.EventKinds() {
		if kind.Data != nil {
			structs = append(structs, kind.Data)
		}
	}
	for _, empty := range structs {
		for _, groups := range []bool{false, true} {
			full := reflect.New(reflect.TypeOf(empty))
			fill(full.Elem(), groups)
			back := reflect.New(reflect.TypeOf(empty))
			if err := events.DecodeData(events.EncodeData(full.Interface()), back.Interface()); err != nil {
				t.Errorf("%T: %v", empty, err)
			}
			if _, parts := empty.(events.WorkflowRetryingData); parts && groups {
				continue // its parts exclude each other
			}
			if diff := cmp.Diff(full.Interface(), back.Interface()); diff != "" {
				t.Errorf("%T, groups %v: %s", empty, groups, diff)
			}
		}
	}
}

// fill sets every field, those behind pointers when groups are wanted.
func fill(v reflect.Value, groups bool) {
	for _, field := range v.Fields() {
		if field.Kind() == reflect.Pointer {
			if !groups {
				continue
			}
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		switch into := field.Addr().Interface().(type) {
		case *events.UUID:
			*into = events.Namespace
		case *time.Time:
			*into = noon.Add(time.Nanosecond)
		case *time.Duration:
			*into = 1500 * time.Millisecond
		case *bool:
			*into = true
		case *[]string:
			*into = []string{"a", "b"}
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString("text")
			case reflect.Struct:
				fill(field, groups)
			default:
				field.SetInt(math.MaxInt32)
			}
		}
	}
}

// The parts of workflow.retrying are told apart, although they share keys.
func TestPartsOfRetrying(t *testing.T) {
	for _, want := range []events.WorkflowRetryingData{
		{Incident: &events.RetriedIncident{Code: "C", Input: "timer"}},
		{Ended: &events.RetriedEnd{From: events.WorkflowFailed, Active: []string{"a"}, Entered: []string{"a"}}},
		{Reset: &events.ResetData{To: 3, State: events.WorkflowFailed, From: []string{"a"}, Active: []string{"b"}}},
	} {
		var got events.WorkflowRetryingData
		if err := events.DecodeData(events.EncodeData(want), &got); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%v: %s", err, cmp.Diff(want, got))
		}
	}
}

func TestDataEncode(t *testing.T) {
	none := ""
	got := events.EncodeData(events.TaskScheduledData{AttemptData: events.AttemptData{TaskID: events.Namespace, Attempt: 2}, Assignee: &none})
	want := map[string]events.ContextValue{
		"task_id": events.String(events.Namespace.String()), "task": events.String(""), "invocation": events.String(""),
		"attempt": events.Long(2), "assignee": events.String(""),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := events.EncodeData(nil); got != nil {
		t.Errorf("nothing makes %v", got)
	}
	if got := events.EncodeData(events.StateTransitionedData{}); got != nil {
		t.Errorf("an empty struct makes %v", got)
	}
	elsewhere := time.Time{}.In(time.FixedZone("east", 3600))
	if got := events.EncodeData(events.TaskRetryData{RetryAt: elsewhere}); got["retry_at"].Kind() != events.KindNone {
		t.Errorf("no time makes %v", got)
	}
}

// Readers take what they do not know, and what is not there, and say what is wrong.
func TestDataDecode(t *testing.T) {
	good := func() map[string]events.ContextValue {
		return map[string]events.ContextValue{
			"task_id": events.String(events.Namespace.String()), "attempt": events.Long(1), "colour": events.String("red"),
		}
	}
	var d events.TaskRetryData
	if err := events.DecodeData(good(), &d); err != nil || d.Attempt != 1 || d.TaskID != events.Namespace || d.Task != "" || d.Error != nil {
		t.Errorf("%+v, %v", d, err)
	}
	for key, c := range map[string]struct {
		value events.ContextValue
		says  string
	}{
		"task_id":        {events.String("x"), "task_id: "},
		"attempt":        {events.Long(math.MaxInt64), "attempt: 9223372036854775807 does not fit int32"},
		"task":           {events.Boolean(true), "task: is of kind boolean and not string"},
		"retry_at":       {events.String("noon"), `retry_at: "noon" is not a time of RFC 3339`},
		"retry_after_ms": {events.Long(-1), "retry_after_ms: -1 is not a number of milliseconds"},
	} {
		bad := good()
		bad[key] = c.value
		err := events.DecodeData(bad, new(events.TaskRetryData))
		if _, ok := errors.AsType[*events.FieldError](err); !ok || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %s", key, err, c.says)
		}
	}
}

func TestUndeclared(t *testing.T) {
	e := events.Event{
		EventType: events.EventWorkflowPaused, Payload: []byte("1"),
		Data:     map[string]events.ContextValue{"from": events.String("running"), "colour": events.String("red")},
		Metadata: map[string]events.ContextValue{"version": events.Long(1), "mood": events.String("good")},
	}
	if got := e.Undeclared(); !slices.Equal(got, []string{"data.colour", "metadata.mood", "payload"}) {
		t.Errorf("got %v", got)
	}
	e.Data["from"] = events.Long(1)
	if got := e.Undeclared()[0]; got != "data.from: is of kind long and not string" {
		t.Errorf("got %v", got)
	}
	e = events.Event{EventType: events.EventCompensationCompleted, Data: map[string]events.ContextValue{"from": events.String("running")}}
	if got := e.Undeclared(); !slices.Equal(got, []string{"data.from"}) {
		t.Errorf("got %v", got)
	}
}

// The constants of metadata are the keys of its struct.
func TestMetadataKeys(t *testing.T) {
	got := events.EncodeData(events.EventMetadata{
		Version: 1, CommandID: events.Namespace, Command: events.CommandRetry, Skip: true, Reason: "r", RequestedBy: "o",
		Timer: &events.FiredTimer{ID: 1, Due: noon}, DomainEvent: "e",
	})
	keys := []string{
		events.MetadataVersion, events.MetadataCommandID, events.MetadataCommand, events.MetadataSkip, events.MetadataReason,
		events.MetadataRequestedBy, events.MetadataTimer, events.MetadataTimerDue, events.MetadataDomainEvent,
	}
	for _, key := range keys {
		if got[key].Kind() == events.KindNone {
			t.Errorf("%s is not declared", key)
		}
	}
	if len(got) != len(keys) {
		t.Errorf("got %v, the constants are %v", got, keys)
	}
}
