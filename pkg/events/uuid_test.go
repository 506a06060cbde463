package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid" //nolint:depguard // the independent implementation that ours is compared with
	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

const someID = "6f1ed002-ab5c-4b5e-8a33-1d3f1c1f0a11"

func TestParseUUIDTakesOneFormInEitherCase(t *testing.T) {
	for _, text := range []string{someID, strings.ToUpper(someID)} {
		id, err := events.ParseUUID(text)
		if err != nil || id.String() != someID {
			t.Errorf("%s: %s, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "x", "{" + someID + "}", "urn:uuid:" + someID, strings.ReplaceAll(someID, "-", ""), someID[:35], someID + "0",
		"6f1ed002-ab5c-4b5e-8a33-1d3f1c1f0a1g", "6f1ed0020ab5c-4b5e-8a33-1d3f1c1f0a11", "00000000-0000-0000-0000-000000000000",
		strings.Repeat("x", 10_000),
	} {
		id, err := events.ParseUUID(text)
		if err == nil || !id.IsNil() {
			t.Errorf("%.50q was read as %s", text, id)
		} else if len(err.Error()) > 300 {
			t.Errorf("the error repeats %d bytes of foreign text", len(err.Error()))
		}
	}
}

// Derived ids are in every log for ever: these may never change.
func TestDerivedIdsNeverChange(t *testing.T) {
	instance := events.InstanceIDForKey("order", "order-42")
	for got, want := range map[events.UUID]string{
		events.Namespace:                        "6c656174-2d69-6f50-8000-6e616d657370",
		instance:                                "3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf",
		events.EventID("order", instance, 7):    "7a9d7267-ed29-56f2-b3e8-a307469c9597",
		events.DeriveUUID(events.Namespace, ""): uuid.NewSHA1(uuid.UUID(events.Namespace), nil).String(),
	} {
		if got.String() != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// google/uuid is the independent implementation of RFC 9562.
func TestUUIDAgreesWithTheRFC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := events.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "space"))
		name := rapid.String().Draw(t, "name")
		got, want := events.DeriveUUID(space, name), uuid.NewSHA1(uuid.UUID(space), []byte(name))
		if got != events.UUID(want) || got.String() != want.String() {
			t.Fatalf("got %s, want %s", got, want)
		}
		back, err := events.ParseUUID(want.String())
		if err != nil || back != got {
			t.Fatalf("%s came back as %s, %v", want, back, err)
		}
	})
}

func TestUUIDInJSON(t *testing.T) {
	type record struct {
		ID events.UUID `json:"id,omitzero"`
	}
	b, err := json.Marshal(record{})
	if err != nil || string(b) != "{}" {
		t.Errorf("the nil UUID: %s, %v", b, err)
	}
	b, err = events.Nil.MarshalText()
	if err != nil || len(b) != 0 {
		t.Errorf("the nil UUID as text: %q, %v", b, err)
	}
	var r record
	for text, ok := range map[string]bool{`{"id":""}`: true, `{"id":"` + someID + `"}`: true, `{"id":"x"}`: false} {
		if err := json.Unmarshal([]byte(text), &r); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if r.ID.String() != someID && !r.ID.IsZero() {
		t.Errorf("got %s", r.ID)
	}
}

func ExampleInstanceIDForKey() {
	fmt.Println(events.InstanceIDForKey("order", "order-42"))
	fmt.Println(events.InstanceIDForKey("order", "order-42") == events.InstanceIDForKey("refund", "order-42"))
	// Output:
	// 3765fa2a-1e57-5fe6-9fe1-6042f4c9acbf
	// false
}

func TestTimeUUIDSortsByTheMoment(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 678_000_000, time.UTC)
	full := [16]byte(bytes.Repeat([]byte{0xff}, 16))
	id := events.TimeUUID(at, full)
	other, err := uuid.Parse(id.String())
	if err != nil || other.Version() != 7 || other.Variant() != uuid.RFC4122 {
		t.Fatalf("got %s, version %v, %v", id, other.Version(), err)
	}
	if sec, nsec := other.Time().UnixTime(); !time.Unix(sec, nsec).Equal(at) {
		t.Errorf("the moment reads as %v", time.Unix(sec, nsec))
	}
	if later := events.TimeUUID(at.Add(time.Millisecond), [16]byte{}); later.String() <= id.String() {
		t.Errorf("%s does not sort behind %s", later, id)
	}
}
