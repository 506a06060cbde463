package avro

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden bytes of the current schemas (only before their release)")

const goldenDir = "../../schemas/testdata"

// current is where the golden bytes lie that the current schema of a record
// writes: v1, or the folder of the schema that came with its newest change.
func current(record string) string {
	switch record {
	case "snapshot", "command", "task", "cancellation": // attempts that are claimed first, put down and cancelled
		return "v5"
	case "outcome": // where the instance is
		return "v2"
	default:
		return "v1"
	}
}

// The bytes of every version ever released decode for ever, to what the .json
// beside them says.
func TestGoldenBytesDecodeForEver(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	for _, r := range records() {
		files, err := filepath.Glob(filepath.Join(goldenDir, "v*", r.name+".bin"))
		if err != nil || len(files) == 0 {
			t.Errorf("no golden bytes of %s: run go test ./internal/avro -update (%v)", r.name, err)
		}
		for _, file := range files {
			got, err := r.decode(read(t, file))
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			want := read(t, file[:len(file)-len(".bin")]+".json")
			if diff := cmp.Diff(string(want), string(describe(t, got))); diff != "" {
				t.Errorf("%s: -want +got:\n%s", file, diff)
			}
		}
	}
}

// What is written today is what the golden bytes hold, byte for byte.
func TestGoldenBytesAreWritten(t *testing.T) {
	for _, r := range records() {
		want := read(t, filepath.Join(goldenDir, current(r.name), r.name+".bin"))
		if got := mustEncode(t, r, r.full(t)); !bytes.Equal(want, got) {
			t.Errorf("%s is written differently: copy the released schema to schemas/old, give the new fields defaults, "+
				"and write new golden bytes into a new folder (schemas/old/README.md)", r.name)
		}
	}
}

// The fingerprints as fastavro 1.13 computes them from the same files
// (fastavro.schema.fingerprint(to_parsing_canonical_form(...), "CRC-64-AVRO")).
func TestFingerprints(t *testing.T) {
	for record, want := range map[string]uint64{
		"command": 0x92873f30fdbb4b41, "event": 0x7f7a913c59d0527d, "task": 0x7dacb418f561fe30, "outcome": 0x04bc0db66c3a88ec,
		"snapshot": 0x7779799ab0264cf7, "cancellation": 0xe63f9b6291faf427, "checkpoint": 0xecbced49acc12a0c, "definition": 0xb3f15c32d07f8d74,
	} {
		if got := loaded().current[record].fingerprint; got != want {
			t.Errorf("%s has fingerprint %016x, want %016x", record, got, want)
		}
	}
}

func writeGolden(t *testing.T) {
	t.Helper()
	for _, r := range records() {
		full := r.full(t)
		for ext, content := range map[string][]byte{".bin": mustEncode(t, r, full), ".json": describe(t, full)} {
			if err := os.WriteFile(filepath.Join(goldenDir, current(r.name), r.name+ext), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// describe is the record as the JSON of its Go struct.
func describe(t *testing.T, r any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendln(b)
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
