package projector

import (
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
)

// Problem is the body of every error.
type Problem = rest.Problem //nolint:errname // as there

func newProblem(status int, code problem.Code, what, why, fix string) *Problem {
	return rest.New(status, code, what, why, fix)
}

func badRequest(what string, err error) *Problem { return rest.BadRequest(what, err) }
