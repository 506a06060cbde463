package definition_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
)

// Every rule has a file with definitions that break it and that keep it.
func TestRules(t *testing.T) {
	datadriven.Walk(t, "testdata/rules", func(t *testing.T, path string) {
		rule := strings.TrimSuffix(filepath.Base(path), ".txt")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			m, findings, err := definition.Parse("x.yaml", []byte(d.Input))
			found := strings.Contains(findings.String(), "["+rule+"]")
			if found != (d.Cmd == "bad") || (err == nil) != (m != nil) || (err != nil) != findings.HasErrors() {
				t.Errorf("%s: %s: rule found %v, machine %v, error %v", d.Pos, d.Cmd, found, m != nil, err)
			}
			return findings.String() + "\n"
		})
	})
}

// What is too large or too deep is refused at once.
func TestTooLargeAndTooDeep(t *testing.T) {
	head := "leat: v1\ntype: t\nversion: 1\n"
	deep := nested(70) + strings.Repeat("  ", 142) + "z: {}\n"
	for name, c := range map[string]struct{ src, rule string }{
		"large":   {head + "description: '" + strings.Repeat("x", definition.MaxSize) + "'\nstates: {a: {}}\n", "too-large"},
		"states":  {deep, "too-deep"},
		"lists":   {head + "input: " + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "\nstates: {a: {}}\n", "too-deep"},
		"json":    {`{"leat": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", "too-deep"},
		"bomb":    {head + "description: " + strings.Repeat("[", 400_000), "syntax"},
		"bomb2":   {strings.Repeat("- ", 400_000), "syntax"},
		"bomb3":   {strings.Repeat(`{"a":`, 150_000), "syntax"},
		"bomb4":   {"{" + strings.Repeat(`"a":{`, 150_000), "too-deep"},
		"empty":   {"", "syntax"},
		"two":     {head + "states: {a: {}}\n---\n" + head, "syntax"},
		"bytes":   {"leat: \xff\xfe", "syntax"},
		"control": {"leat: \x00", "syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			_, findings, err := definition.Parse("x", []byte(c.src))
			if err == nil || len(findings) == 0 || findings[0].Rule != c.rule && (c.rule != "syntax" || findings[0].Rule != "too-deep") {
				t.Fatalf("got %.300v, want rule %s", findings, c.rule)
			}
		})
	}
}

// nested is the start of a definition with n states in each other.
func nested(n int) string {
	var src strings.Builder
	src.WriteString("leat: v1\ntype: t\nversion: 1\nstates:\n")
	for i := range n {
		src.WriteString(strings.Repeat("  ", 2*i+1) + "s" + strings.Repeat("x", i) + ":\n" + strings.Repeat("  ", 2*i+2) + "states:\n")
	}
	return src.String()
}

// 60 states in each other are fine.
func TestDeepStates(t *testing.T) {
	src := nested(60) + strings.Repeat("  ", 122) + "z: {type: final}\n"
	if _, findings, err := definition.Parse("x", []byte(src)); err != nil {
		t.Fatal(findings)
	}
}

// A wrong start payload is refused with the path that is wrong.
func TestCheckInput(t *testing.T) {
	m, _, err := definition.Parse("x", []byte(`
leat: v1
type: t
version: 1
input: {type: object, required: [sku], properties: {amount: {type: number, exclusiveMinimum: 0}, list: {items: {type: string}}}}
states: {a: {type: final}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for in, field := range map[string]string{
		`{"sku": 1, "amount": 2.5}`:      "",
		`{"amount": 2.5}`:                "input",
		`{"sku": 1, "amount": 0}`:        "input.amount",
		`{"sku": 1, "list": ["a", 5]}`:   "input.list.1",
		`[]`:                             "input",
		``:                               "input",
		`{"sku": 1, "amount": "secret"}`: "input.amount",
		`{"sku": 1, "amount": 1e400}`:    "",
		`{"sku": 1, "amount": 12345678901234567890123}`: "",
	} {
		err := m.CheckInput([]byte(in))
		var wrong *events.FieldError
		if field == "" && err == nil {
			continue
		}
		if !errors.As(err, &wrong) || wrong.Field != field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want field %q", in, err, field)
		}
	}
}

// No text makes the parser panic, and an error always comes with a finding.
func FuzzParse(f *testing.F) {
	f.Add([]byte("leat: v1\ntype: t\nversion: 1\nstates: {a: {on: {x: {guard: \"data.n > 1\", target: a}}}}\n"))
	f.Add([]byte(`{"leat":"v1","type":"t","version":1,"states":{"a":{"type":"final"}}}`))
	f.Add([]byte("a: &x [*x, <<]\n? {}\n: !!binary x"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, findings, err := definition.Parse("f", src)
		if (err == nil) != (m != nil) || (err != nil) != findings.HasErrors() {
			t.Fatalf("machine %v, error %v, findings %v", m != nil, err, findings)
		}
	})
}
