package cli

import (
	"strings"
	"testing"
)

// Without a terminal --interactive says so, and is a mistake of usage.
func TestInteractiveNeedsATerminal(t *testing.T) {
	code, _, errs := leat(t, "", "def", "simulate", "testdata/approval.yaml", "--interactive")
	if code != 2 || !strings.Contains(errs, "needs a terminal") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
