package simulate_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/simulate"
)

// All cases of the SCXML conformance files pass.
func TestSCXMLCases(t *testing.T) {
	paths, err := filepath.Glob("../../pkg/fsm/testdata/scxml/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var out strings.Builder
	failed, err := simulate.TestCases(&out, paths...)
	if err != nil || failed > 0 {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
}
