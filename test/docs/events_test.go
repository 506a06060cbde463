package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// docs/reference/events.md is what the structs of pkg/events say an event carries.
func TestEventsReference(t *testing.T) {
	p := eventsPage{t: t, comments: fieldComments(t)}
	p.b.WriteString(`# Events

What each event carries. An event is a record of ` + "[`schemas/event.avsc`](../../schemas/event.avsc) on topic `workflow.<type>` ([topics](topics.md))" + `. Its ` + "`event_type`" + ` says which of the kinds below it is;
` + "`data` and `metadata`" + ` are maps of values by key, and ` + "`payload`" + ` is JSON text or null. In the history that the API and ` + "`leat history -o json`" + ` show, they are JSON with the same keys.

- *Wire* is the type of the value in Avro's union, and in brackets what its text or number is. *Go* is the type of the field in ` + "`pkg/events`" + `: ` + "`events.DecodeData(e.Data, &d)`" + ` reads the data into the struct that is named
  below the heading.
- A key that is *always* there can be missing in events of earlier versions of Leat. Keys are added and never change their meaning: ignore those that you do not know.
- A list or text can be empty.

This page is made from ` + "`pkg/events/kinds*.go`" + `; a test compares them.

## Metadata

The metadata of every event say which input it follows from. All events of one decision say the same, but for ` + "`domain_event`" + `.

`)
	p.table(reflect.TypeFor[events.EventMetadata]())
	for _, kind := range events.EventKinds() {
		fmt.Fprintf(&p.b, "\n## `%s`\n\n%s\n\n", kind.Type, kind.Meaning)
		if kind.Data == nil {
			p.b.WriteString("No data.")
		} else {
			fmt.Fprintf(&p.b, "Data: `%s`.", reflect.TypeOf(kind.Data).Name())
		}
		if kind.Payload == "" {
			p.b.WriteString(" No payload.\n")
		} else {
			p.b.WriteString(" Payload: " + kind.Payload + "\n")
		}
		if kind.Data != nil {
			p.b.WriteString("\n")
			p.table(reflect.TypeOf(kind.Data))
		}
	}
	const page = docsDir + "/reference/events.md"
	if *rewrite {
		if err := os.WriteFile(page, []byte(p.b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, page) != p.b.String() {
		t.Errorf("%s does not say what pkg/events says: go test ./test/docs -run TestEventsReference -rewrite", page)
	}
}

type eventsPage struct {
	t        *testing.T
	b        strings.Builder
	comments map[string]string // of fields, by TYPE.FIELD
}

func (p *eventsPage) table(of reflect.Type) {
	p.b.WriteString("| Key | Wire | Go | Present | Meaning |\n|---|---|---|---|---|\n")
	p.rows(of, "always")
}

func (p *eventsPage) rows(of reflect.Type, present string) {
	for f := range of.Fields() {
		key, option, _ := strings.Cut(f.Tag.Get("data"), ",")
		comment := p.comments[of.Name()+"."+f.Name]
		switch {
		case f.Anonymous:
			p.rows(f.Type, present)
			continue
		case comment == "":
			p.t.Errorf("pkg/events: field %s of %s has no comment behind it, which the page is made from", f.Name, of.Name())
		case option == "inline":
			p.rows(f.Type.Elem(), comment)
			continue
		}
		when := present
		if option == "omitempty" {
			when = "optional"
		}
		fmt.Fprintf(&p.b, "| `%s` | %s | `%s` | %s | %s |\n", key, wire(f.Type), goType(f.Type), when, strings.ReplaceAll(comment, "|", `\|`))
	}
}

// wire is what a field is in Avro's union of values.
func wire(of reflect.Type) string {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch of {
	case reflect.TypeFor[events.UUID]():
		return "string (UUID)"
	case reflect.TypeFor[time.Time]():
		return "string (RFC 3339, UTC)"
	case reflect.TypeFor[time.Duration]():
		return "long (milliseconds)"
	}
	switch of.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Slice:
		return "array of string"
	default:
		return "long"
	}
}

func goType(of reflect.Type) string { return strings.ReplaceAll(of.String(), "events.", "") }

// fieldComments reads the comments behind the fields of the structs.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../pkg/events/kinds*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	comments := make(map[string]string)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					comments[spec.Name.Name+"."+name.Name] = strings.TrimSpace(f.Comment.Text())
				}
			}
			return false
		})
	}
	return comments
}
