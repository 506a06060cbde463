package main

import (
	"strings"
	"testing"
)

// Without a terminal --interactive says so, and is a mistake of usage.
func TestInteractiveNeedsATerminal(t *testing.T) {
	var out, errs strings.Builder
	code := run(t.Context(), []string{"def", "simulate", "testdata/approval.yaml", "--interactive"}, streams{strings.NewReader(""), &out, &errs, nil})
	if code != 2 || !strings.Contains(errs.String(), "needs a terminal") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
