package schedule

import (
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/pkg/client"
)

// TestDocumentKeepsWhatItSays: an input has the numbers and texts of the file.
func TestDocumentKeepsWhatItSays(t *testing.T) {
	read := func(text string) ([]client.Schedule, error) {
		return (&app{&session.Session{Streams: session.Streams{In: strings.NewReader(text)}}}).readSchedules("-")
	}
	const head = "schedule: a\ntype: b\nevery: 1h\n"
	for input, want := range map[string]string{
		"{n: 12345678901234567890123, f: 1.10, e: 1e400, big: 9223372036854775808}": `{"big":9223372036854775808,"e":1e400,"f":1.10,"n":12345678901234567890123}`,
		"{day: 2026-01-02, at: 2026-01-02T03:04:05Z, no: 'no', hex: 0x1f}":          `{"at":"2026-01-02T03:04:05Z","day":"2026-01-02","hex":31,"no":"no"}`,
		"[&x {a: <&>}, *x, null, true, -0, 1_000]":                                  `[{"a":"<&>"},{"a":"<&>"},null,true,-0,1000]`,
		"7": "7",
	} {
		list, err := read(head + "input: " + input + "\n")
		if err != nil || string(list[0].Input) != want {
			t.Errorf("%s: %s, %v", input, list[0].Input, err)
		}
	}
	for input, says := range map[string]string{
		"input: .inf": "not a number", "input: 1_2345678901234567890123": "not a number", "input: {a: 1, a: 2}": "twice", "input: {1: 1, '1': 2}": "twice",
		"input: {? [a] : b}": "is text", "key: ''": "key is empty", "input: {a: 1}\nkey: \"\"": "key is empty",
		"input: [&a [x, x, x, x, x, x, x, x, x, x], &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a], &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b], &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c], &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d], [*e, *e, *e]]": "bytes",
	} {
		if _, err := read(head + input + "\n"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v, want an error with %q", input, err, says)
		}
	}
}
