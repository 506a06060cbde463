package httpcall

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/egress"
	"github.com/leat-io/leat/pkg/events"
)

// input is what a definition's http invocation comes to.
type input struct {
	Method  string                     `json:"method"`
	URL     string                     `json:"url"`
	Headers map[string]json.RawMessage `json:"headers"`
	Body    json.RawMessage            `json:"body"`
	Input   json.RawMessage            `json:"input"` // the body, when there is no body
}

// Methods are those that a call may have.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// reserved headers are about the connection, or would undo a bound.
var reserved = []string{
	"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection",
	"te", "trailer", "transfer-encoding", "upgrade",
}

// newRequest makes the request of a task.
func newRequest(ctx context.Context, task *events.Task) (*http.Request, error) {
	var in input
	if err := json.Unmarshal(task.Input, &in); err != nil {
		return nil, fail(CodeBadRequest, "the input of %s is not {method, url, headers, body}: %v", task.TaskName, err)
	}
	u, err := parseURL(in.URL)
	if err != nil {
		return nil, err
	}
	header, err := in.header()
	if err != nil {
		return nil, err
	}
	body, kind, err := in.body(header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if in.Method == "" {
		in.Method = http.MethodGet
		if body != nil {
			in.Method = http.MethodPost
		}
	}
	if !slices.Contains(methods, in.Method) {
		return nil, fail(CodeBadRequest, "method %.20q is none of %s", in.Method, strings.Join(methods, ", "))
	}
	if body != nil && (in.Method == http.MethodGet || in.Method == http.MethodHead) {
		return nil, fail(CodeBadRequest, "a %s has no body; choose another method", in.Method)
	}
	if kind != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", kind)
	}
	identify(header, task)
	req, err := http.NewRequestWithContext(ctx, in.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fail(CodeBadRequest, "no request can be made: %v", plain(err))
	}
	req.Header = header
	return req, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fail(CodeBadRequest, "the url cannot be read: %v", plain(err))
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fail(CodeBadRequest, "the url begins with neither https:// nor http://")
	case u.Hostname() == "":
		return nil, fail(CodeBadRequest, "the url names no host")
	case u.User != nil:
		return nil, fail(CodeBadRequest, "the url holds a user name or a password; give an Authorization header")
	case !egress.PlainHost(u.Hostname()) && !strings.Contains(u.Host, "["):
		return nil, fail(CodeBadRequest, "the host %.100q is not a name in ASCII", u.Hostname())
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	return u, nil
}

// escapeQuery escapes what may not stand in a request line: net/url lets spaces
// and letters outside of ASCII through, and net/http writes them as they are.
func escapeQuery(query string) string {
	var out strings.Builder
	for i := range len(query) {
		if c := query[i]; c > ' ' && c < 0x7f {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

// header reads the headers of a definition.
func (in *input) header() (http.Header, error) {
	h := make(http.Header, len(in.Headers)+6)
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		raw, lower := in.Headers[name], strings.ToLower(name)
		if !token(name) || slices.Contains(reserved, lower) {
			return nil, fail(CodeBadRequest, "%.100q cannot be a header of a call", name)
		}
		value, ok := scalar(raw)
		if !ok || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fail(CodeBadRequest, "the value of header %s is not one line of text, a number or a boolean", name)
		}
		if value != "" {
			h.Set(name, value)
		}
	}
	return h, nil
}

// scalar is the text of a JSON text, number or boolean; null is "".
func scalar(raw json.RawMessage) (string, bool) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", true
	case raw[0] == '{' || raw[0] == '[':
		return "", false
	case raw[0] != '"':
		return string(raw), true
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

// token reports whether name is an HTTP token.
func token(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// body is what is sent, and its usual content type: a text as it is, a map as a
// form when the content type says so, everything else as JSON. Nil is no body.
func (in *input) body(kind string) ([]byte, string, error) {
	raw := in.Body
	if len(raw) == 0 || string(raw) == "null" {
		raw = in.Input
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, "", nil
	}
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, "", fail(CodeBadRequest, "the body cannot be read: %v", err)
		}
		return []byte(text), "text/plain; charset=utf-8", nil
	}
	if media, _, err := mime.ParseMediaType(kind); err == nil && media == "application/x-www-form-urlencoded" {
		return form(raw)
	}
	return raw, "application/json", nil
}

func form(raw json.RawMessage) ([]byte, string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, "", fail(CodeBadRequest, "the body of a form is a map of names to values")
	}
	values := make(url.Values, len(fields))
	for name, value := range fields {
		text, ok := scalar(value)
		if !ok {
			return nil, "", fail(CodeBadRequest, "field %.100q of a form is not a text, a number or a boolean", name)
		}
		values.Set(name, text)
	}
	return []byte(values.Encode()), "", nil
}

// Names of the headers by which a server knows a call. They are written in this
// spelling: net/http sends a request whose Idempotency-Key it recognises a second
// time by itself when a connection breaks.
const (
	headerKey         = "idempotency-key"
	headerTrace       = "traceparent"
	headerCorrelation = "x-correlation-id"
	headerAgent       = "User-Agent"
)

// identify adds who calls. Attempts of a task share the key; a definition may
// have chosen its own.
func identify(h http.Header, task *events.Task) {
	key := task.IdempotencyKey
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if given := h.Get(name); given != "" {
			h.Del(name)
			key = given
		}
	}
	h[headerKey] = []string{key}
	if h.Get(headerAgent) == "" {
		h.Set(headerAgent, "leat")
	}
	h[headerCorrelation] = []string{task.CorrelationID.String()}
	if h.Get(headerTrace) == "" {
		span := events.DeriveUUID(task.TaskID, fmt.Sprintf("span/%d", task.Attempt))
		h.Set(headerTrace, "00-"+hex.EncodeToString(task.CorrelationID[:])+"-"+hex.EncodeToString(span[:8])+"-01")
	}
}

// own is what remains of a request's headers on its way to another origin.
func own(given http.Header) http.Header {
	h := make(http.Header)
	for _, name := range []string{headerKey, headerCorrelation} {
		h[name] = given[name]
	}
	for _, name := range []string{headerAgent, headerTrace, "Accept", "Content-Type"} {
		if value := given.Get(name); value != "" {
			h.Set(name, value)
		}
	}
	return h
}
