package avro

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// What is peeked is what is read: in golden snapshots of every version, and cut
// anywhere.
func TestStateOfIsTheState(t *testing.T) {
	files, err := filepath.Glob("../../schemas/testdata/*/snapshot.bin")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d golden snapshots, %v", len(files), err)
	}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := DecodeSnapshot(value)
		if err != nil {
			t.Fatal(err)
		}
		if got := StateOf(value); got != s.State {
			t.Errorf("%s: got %q, want %q", file, got, s.State)
		}
		for n := range len(value) {
			if got := StateOf(value[:n]); got != "" && got != s.State {
				t.Fatalf("%s, %d bytes: got %q", file, n, got)
			}
		}
	}
	for _, state := range events.WorkflowStates() {
		s := aSnapshot()
		s.State, s.Key = state, ""
		value, err := EncodeSnapshot(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := StateOf(value); got != state {
			t.Errorf("got %q, want %q", got, state)
		}
	}
	if value, err := EncodeEvent(anEvent()); err != nil || StateOf(value) != "" {
		t.Errorf("an event has a state; %v", err)
	}
}
