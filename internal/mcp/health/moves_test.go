package health

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/pkg/events"
)

var update = flag.Bool("update", false, "rewrite testdata")

// Every cell of the three tables: which state may follow which.
func TestMoves(t *testing.T) {
	var b strings.Builder
	matrix(&b, "lifecycle", events.MCPLifecycleStates(), LegalLifecycle)
	matrix(&b, "connection", events.MCPConnectionStatuses(), LegalConnection)
	matrix(&b, "health", events.HealthStatuses(), LegalHealth)
	const golden = "testdata/moves.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got (rewrite with go test ./internal/mcp/health -update):\n%s", diff)
	}
}

// matrix has a row for each state that is left, and a column for each that is
// entered: x is legal, - is not, = is to stay.
func matrix[S ~string](b *strings.Builder, name string, all []S, legal func(from, to S) bool) {
	fmt.Fprintf(b, "%-17s", name)
	for i := range all {
		fmt.Fprintf(b, " %2d", i+1)
	}
	b.WriteByte('\n')
	for i, from := range all {
		fmt.Fprintf(b, "%2d %-14s", i+1, from)
		for _, to := range all {
			cell := "-"
			switch {
			case from == to:
				cell = "="
			case legal(from, to):
				cell = "x"
			}
			fmt.Fprintf(b, " %2s", cell)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}
