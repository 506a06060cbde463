package cli

import (
	"testing"

	"github.com/leat-io/leat/internal/problem"
)

func TestDefinitionsAreCompared(t *testing.T) {
	for _, format := range []string{"table", "json"} {
		code, out, _ := leat(t, "", "def", "diff", "testdata/order-1.yaml", "testdata/order-2.yaml", "-o", format)
		if code != problem.ExitError {
			t.Errorf("exit %d", code)
		}
		golden(t, "diff."+format, out)
	}
	if code, out, errs := leat(t, "", "def", "diff", "testdata/order-1.yaml", "testdata/order-1.yaml"); code != 0 || errs != "" {
		t.Errorf("the same: exit %d\n%s%s", code, out, errs)
	}
}
