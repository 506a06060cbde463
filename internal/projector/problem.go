package projector

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/problem"
)

// Codes that only the API uses, beside those of internal/problem.
const (
	codeRequest problem.Code = "LEAT-A003" // a parameter or body is not as it should be
	codeStreams problem.Code = "LEAT-A004" // too many live streams
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

func newProblem(status int, code problem.Code, what, why, fix string) *Problem {
	if fix == "" {
		fix = problem.Describe(code).Fix
	}
	return &Problem{
		Type: "urn:leat:problem:" + string(code), Title: what, Status: status, Detail: why, Code: code, Fix: fix,
	}
}

// Error reads "what: why".
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's, for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// problems turns the errors that huma itself answers into ours.
func problems(_ huma.Context, _ string, body any) (any, error) {
	var theirs *huma.ErrorModel
	err, isError := body.(error)
	if !isError || !errors.As(err, &theirs) {
		return body, nil
	}
	if theirs.Status >= http.StatusInternalServerError {
		return newProblem(theirs.Status, problem.Internal, "The request could not be answered", "see the projector's log", ""), nil
	}
	reasons := make([]string, 0, len(theirs.Errors)+1)
	for _, e := range theirs.Errors {
		reasons = append(reasons, strings.TrimPrefix(e.Location+": "+e.Message, ": "))
	}
	if len(reasons) == 0 {
		reasons = append(reasons, theirs.Detail)
	}
	return newProblem(theirs.Status, codeRequest, "The request is not valid", strings.Join(reasons, "; "),
		"/openapi.json describes the requests"), nil
}

func badRequest(what string, err error) *Problem {
	return newProblem(http.StatusBadRequest, codeRequest, what, err.Error(), "/openapi.json describes the requests")
}
