package gobench_test

import (
	"encoding/json"
	"testing"

	"github.com/leat-io/leat/bench/gobench"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{
			"BenchmarkDecideEncode/history=10-2         \t   20251\t     58617 ns/op\t   19671 B/op\t      79 allocs/op",
			`{"allocs_per_op":79,"bench":"decide_encode","bytes_per_op":19671,"history":10,"ns_per_op":58617}`,
		},
		{
			"BenchmarkRestore \t 1\t7007085990 ns/op\t 21407 records/s",
			`{"bench":"restore","ns_per_op":7007085990,"records_per_s":21407}`,
		},
		{"ok  \tgithub.com/leat-io/leat/internal/router\t13.597s", ""},
		{"PASS", ""},
	} {
		fields, ok := gobench.Parse(tt.line)
		if !ok {
			if tt.want != "" {
				t.Errorf("%q is not read", tt.line)
			}
			continue
		}
		got, err := json.Marshal(fields)
		if err != nil || string(got) != tt.want {
			t.Errorf("%q: got %s (%v), want %s", tt.line, got, err, tt.want)
		}
	}
}
