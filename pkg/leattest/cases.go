package leattest

import (
	"path/filepath"
	"testing"

	"github.com/leat-io/leat/internal/simulate"
)

// Cases runs the cases of definitions, each as a subtest, as `leat def test` does:
// from files that say what an instance is after the start, and after each event,
// result or passing of time. It needs no engine and no handlers.
func Cases(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		cases, err := simulate.ReadCases(file)
		if err != nil {
			t.Fatalf("leattest: %v", err)
		}
		for i := range cases {
			t.Run(cases[i].Name, func(t *testing.T) {
				if err := cases[i].Run(filepath.Dir(file)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
