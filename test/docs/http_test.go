package docs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/gateway"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/projector"
)

// openAPI is as much of a description as the reference shows.
type openAPI struct {
	Info  struct{ Title, Description string }
	Paths map[string]map[string]struct {
		Summary, Description string
		Parameters           []parameter
		RequestBody          *struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]json.RawMessage
	}
	Components struct{ Schemas map[string]schema }
}

type parameter struct {
	Name, In, Description string
	Required              bool
	Schema                schema
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any
	Description string
	Default     any
	Properties  map[string]schema
	Required    []string
}

// docs/reference/http-api.md is what the two APIs say of themselves.
func TestHTTPReference(t *testing.T) {
	brokers := kafka.Config{Brokers: []string{"127.0.0.1:1"}} // nobody asks it
	p, err := projector.New(projector.Config{Kafka: brokers})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Kafka: brokers})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# The HTTP APIs\n\nA projector answers questions and takes commands; `executor --http` hands out tasks; `leat dev` does both. Each serves its description at `/openapi.json`.\n" +
		"Bodies and answers are JSON (`Content-Type: application/json`); an error is a problem (`application/problem+json`) with `title`, `detail`, `fix` and a [`code`](errors.md).\n\n" +
		"This page is made from the descriptions; a test compares them.\n")
	for _, h := range []http.Handler{p.Handler(), g.Handler()} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
		var api openAPI
		if err := json.Unmarshal(w.Body.Bytes(), &api); err != nil {
			t.Fatal(err)
		}
		api.write(&b)
	}
	const page = docsDir + "/reference/http-api.md"
	if *rewrite {
		if err := os.WriteFile(page, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, page) != b.String() {
		t.Errorf("%s does not say what the APIs say: go test ./test/docs -run TestHTTPReference -rewrite", page)
	}
}

func (a openAPI) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", a.Info.Title, a.Info.Description)
	for _, path := range slices.Sorted(maps.Keys(a.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(a.Paths[path])) {
			op := a.Paths[path][method]
			fmt.Fprintf(b, "\n### `%s %s`\n\n%s.", strings.ToUpper(method), path, op.Summary)
			if op.Description != "" {
				b.WriteString(" " + op.Description)
			}
			statuses := slices.Sorted(maps.Keys(op.Responses))
			fmt.Fprintf(b, " Answers: %s.\n", strings.Join(slices.DeleteFunc(statuses, func(s string) bool { return s == "500" }), ", "))
			if len(op.Parameters) > 0 {
				b.WriteString("\n| Parameter | In | What |\n|---|---|---|\n")
				for _, p := range op.Parameters {
					fmt.Fprintf(b, "| `%s` | %s | %s |\n", p.Name, p.In, meaning(cmp.Or(p.Description, p.Schema.Description), p.Schema, p.Required && p.In != "path"))
				}
			}
			if op.RequestBody != nil {
				a.writeFields(b, "Body", op.RequestBody.Content["application/json"].Schema)
			}
		}
	}
	if task, ok := a.Components.Schemas["Task"]; ok {
		b.WriteString("\n### A task\n\nThe answer of a poll is `{\"tasks\": […]}`; each is:\n")
		a.writeFields(b, "Field", task)
	}
}

// writeFields is a table of an object's fields.
func (a openAPI) writeFields(b *strings.Builder, title string, s schema) {
	if s.Ref != "" {
		s = a.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	fmt.Fprintf(b, "\n| %s | What |\n|---|---|\n", title)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[name]
		fmt.Fprintf(b, "| `%s` | %s |\n", name, meaning(f.Description, f, title == "Body" && slices.Contains(s.Required, name)))
	}
}

func meaning(text string, s schema, required bool) string {
	if kind, ok := s.Type.(string); ok {
		text = strings.TrimSpace(kind + ". " + text)
	}
	if s.Default != nil {
		text += fmt.Sprintf(" Default `%v`.", s.Default)
	}
	if required {
		text += " Required."
	}
	return strings.ReplaceAll(text, "|", `\|`)
}
