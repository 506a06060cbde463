package wire

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// lists is a modern server that lists what it is told, a page a cursor.
func lists(t *testing.T, pages map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params struct {
				Cursor string `json:"cursor"`
			} `json:"params"`
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		if q.Method == "server/discover" {
			answer(w, q.ID, `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`)
			return
		}
		answer(w, q.ID, pages[q.Params.Cursor])
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func definition(name, rest string) string {
	return fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}%s}`, name, rest)
}

// Of a list each tool that cannot be called is refused, and no other.
func TestListRefusesAlone(t *testing.T) {
	var twice strings.Builder
	for i := range 22 {
		fmt.Fprintf(&twice, `"a%d":{"anyOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	doubling := `{"$ref":"#/$defs/a0","$defs":{` + twice.String() + `"a22":{}}}`
	bad := map[string]string{
		"twice": definition("twice", "") + "," + definition("twice", `,"title":"again"`),
		"cycle": `{"name":"cycle","inputSchema":{"$ref":"#"}}`, "bomb": `{"name":"bomb","inputSchema":` + doubling + `}`,
		"remote": definition("remote", `,"outputSchema":{"$ref":"http://169.254.169.254/"}`), "no schema": `{"name":"no schema"}`,
		"null": `{"name":"null","inputSchema":null}`, "nonsense": `{"name":"nonsense","inputSchema":{"type":"strin"}}`,
		"a header twice": `{"name":"a header twice","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}}`,
		"\u0007":         `{"name":"\u0007","inputSchema":{"type":"object"}}`,
		"":               `{"inputSchema":{"type":"object"}},7,null`,
	}
	var all []string
	for _, text := range bad {
		all = append(all, text)
	}
	url := lists(t, map[string]string{
		"":  `{"tools":[` + definition("first", "") + `],"nextCursor":"2","ttlMs":5000,"cacheScope":"public"}`,
		"2": `{"tools":[` + strings.Join(all, ",") + `],"nextCursor":"3","ttlMs":2000,"cacheScope":"private"}`,
		"3": `{"tools":[` + definition("last", `,"annotations":{"readOnlyHint":true}`) + `]}`,
	})
	conn := open(t, Target{ID: "s", URL: url}, testOptions())
	for range 2 { // the second time nothing is compiled
		l, err := conn.Tools(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Tools) != 2 || l.Tools[0].Name != "first" || l.Tools[1].Name != "last" || l.TTL != 2*time.Second || !l.Private {
			t.Errorf("got %+v", l)
		}
		for name := range bad {
			if !slices.ContainsFunc(l.Refused, func(r Refusal) bool { return r.Name == name && r.Why != "" }) {
				t.Errorf("%q is not refused", name)
			}
		}
		if len(l.Refused) != len(bad)+3 {
			t.Errorf("got %+v", l.Refused)
		}
	}
}

func TestListEnds(t *testing.T) {
	for name, pages := range map[string]map[string]string{
		"a page twice": {"": `{"tools":[],"nextCursor":"a"}`, "a": `{"tools":[],"nextCursor":"a"}`},
		"no list":      {"": `{"tools":7}`},
	} {
		conn := open(t, Target{ID: "s", URL: lists(t, pages)}, testOptions())
		if _, err := conn.Tools(t.Context()); failureOf(t, err).Code != CodeProtocol {
			t.Errorf("%s: %v", name, err)
		}
	}
}
