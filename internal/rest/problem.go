// Package rest is what the HTTP APIs of Leat have in common: how they answer
// errors (RFC 9457 with our codes), how they describe themselves, and what they
// ask of every request. It holds no route.
package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// Problem is the body of every error: RFC 9457, with our code and the fix.
type Problem struct { //nolint:errname // RFC 9457 calls it so, and so does the schema
	Type   string       `json:"type"`
	Title  string       `json:"title" doc:"What could not be done."`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty" doc:"Why, as far as it is known."`
	Code   problem.Code `json:"code" doc:"Stable name of the kind of problem."`
	Fix    string       `json:"fix,omitempty" doc:"What to do about it."`
	// Sequence is what the view reflects, when a sequence was waited for in vain.
	Sequence *int64 `json:"sequence_number,omitempty"`
}

// New makes a problem. An empty fix takes the registry's.
func New(status int, code problem.Code, what, why, fix string) *Problem {
	if fix == "" {
		fix = problem.Describe(code).Fix
	}
	return &Problem{
		Type: "urn:leat:problem:" + string(code), Title: what, Status: status, Detail: why, Code: code, Fix: fix,
	}
}

// BadRequest is the problem of a request that is not as it should be.
func BadRequest(what string, err error) *Problem {
	return New(http.StatusBadRequest, problem.BadRequest, what, err.Error(), describes)
}

const describes = "/openapi.json describes the requests"

// Error reads "what: why".
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's, for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Write answers with p.
func (p *Problem) Write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	if text, err := events.EncodeJSON(p); err == nil {
		_, _ = w.Write(text) //nolint:gosec // it is JSON, whose type is said
	}
}

// NotFound answers what is no route.
func NotFound(w http.ResponseWriter, r *http.Request) {
	New(http.StatusNotFound, problem.BadRequest, "There is no such route",
		r.Method+" "+r.URL.Path+" is not a route", "/openapi.json lists the routes").Write(w)
}

// problems turns the errors that huma itself answers into ours.
func problems(_ huma.Context, _ string, body any) (any, error) {
	var theirs *huma.ErrorModel
	err, isError := body.(error)
	if !isError || !errors.As(err, &theirs) {
		return body, nil
	}
	if theirs.Status >= http.StatusInternalServerError {
		return New(theirs.Status, problem.Internal, "The request could not be answered", "see the server's log", ""), nil
	}
	reasons := make([]string, 0, len(theirs.Errors)+1)
	for _, e := range theirs.Errors {
		reasons = append(reasons, strings.TrimPrefix(e.Location+": "+e.Message, ": "))
	}
	if len(reasons) == 0 {
		reasons = append(reasons, theirs.Detail)
	}
	return New(theirs.Status, problem.BadRequest, "The request is not valid", strings.Join(reasons, "; "), describes), nil
}
