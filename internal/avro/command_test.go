package avro

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/events"
)

func TestCommandMayLeaveOutWhatTheRouterFillsIn(t *testing.T) {
	want := events.Command{Command: events.CommandStart, WorkflowType: "order", Key: "order-42"}
	b, err := EncodeCommand(&want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCommand(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want.Key = ""
	_, err = EncodeCommand(&want)
	wantField(t, err, "instance_id")
}

func TestParseCommand(t *testing.T) {
	want := events.Command{Command: events.CommandSignal, WorkflowType: "order", Key: "order-42", Event: "paid"}
	for _, lead := range []string{"", " \r\n\t"} {
		got, err := ParseCommand([]byte(lead + `{"command":"signal","type":"order","key":"order-42","event":"paid"}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, c := range []struct{ value, says string }{
		{"", `looks like {"command":"start"`},
		{"hello", `looks like {"command":"start"`},
		{"\x00\x00\x00\x00\x07abc", "neither Avro"},
		{"{", "not a JSON command"},
		{`{"command":"stop"}`, "command: "},
		{"\xC3\x01abc", "ends too early"},
		{"\xC3", "neither Avro"},
		{"\xC3\x0100000000", "unknown"},
	} {
		if _, err := ParseCommand([]byte(c.value)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want something with %q", c.value, err, c.says)
		}
	}
	if _, err := ParseCommand([]byte("{" + strings.Repeat(" ", MaxRecordLength))); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}
