package avro

import (
	"bytes"
	"errors"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// fuzz feeds the decoder what may stand on a topic. Whatever it takes must be
// written again and read again; what it refuses it must refuse by name.
func fuzz(f *testing.F, name string) {
	f.Helper()
	for _, r := range records() {
		if r.name == name {
			good := mustEncode(f, r, r.full(f))
			f.Add(good[headerSize:])
			f.Add([]byte{})
			f.Fuzz(func(t *testing.T, body []byte) { fuzzOne(t, r, append(good[:headerSize:headerSize], body...)) })
		}
	}
}

func fuzzOne(t *testing.T, r record, single []byte) {
	t.Helper()
	v, err := r.decode(single)
	if err != nil {
		var named *events.FieldError
		if !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrTrailing) && !errors.As(err, &named) {
			t.Fatalf("an error without a name: %v", err)
		}
		return
	}
	if r.name == "command" { // decoding one does not validate it
		m := v.(*events.Command)
		m.Resolve(events.Namespace)
		if m.Validate() != nil {
			return
		}
	}
	once, err := r.encode(v)
	if err != nil {
		t.Fatalf("what was decoded cannot be encoded: %v", err)
	}
	again, err := r.decode(once)
	if err != nil {
		t.Fatalf("what was encoded cannot be decoded: %v", err)
	}
	if twice := mustEncode(t, r, again); !bytes.Equal(once, twice) {
		t.Fatal("not the same bytes the second time")
	}
}

func FuzzDecodeCommand(f *testing.F)    { fuzz(f, "command") }
func FuzzDecodeEvent(f *testing.F)      { fuzz(f, "event") }
func FuzzDecodeTask(f *testing.F)       { fuzz(f, "task") }
func FuzzDecodeOutcome(f *testing.F)    { fuzz(f, "outcome") }
func FuzzDecodeSnapshot(f *testing.F)   { fuzz(f, "snapshot") }
func FuzzDecodeCheckpoint(f *testing.F) { fuzz(f, "checkpoint") }
func FuzzDecodeDefinition(f *testing.F) { fuzz(f, "definition") }

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte(`{"command":"start","type":"order","key":"order-42","input":{"mag":2.0}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		m, err := ParseCommand(value)
		if err != nil {
			return
		}
		m.Resolve(events.Namespace)
		if m.Validate() != nil {
			return
		}
		if _, err := EncodeCommand(&m); err != nil {
			t.Fatalf("a valid command cannot be encoded: %v", err)
		}
	})
}
