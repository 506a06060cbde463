package cli

import (
	"context"
	"errors"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
)

// toProblem turns every error of a command into a problem: the one way out.
func toProblem(err error) *problem.Problem {
	if known, ok := errors.AsType[*problem.Problem](err); ok {
		return known
	}
	if theirs, ok := errors.AsType[*client.Error](err); ok {
		return clientProblem(theirs)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return problem.New(problem.TimedOut, "the command timed out", "", "")
	}
	return explain.Error("the command failed", err)
}

// clientProblem keeps the client's code and fix. When Kafka refuses or is not
// there, what lies behind it says more.
func clientProblem(e *client.Error) *problem.Problem {
	code := problem.Code(e.Code)
	if code == problem.KafkaAway && e.Err != nil {
		if behind := explain.Error(e.Message, e.Err); behind.Code == problem.KafkaAuth {
			return behind
		}
	}
	what, why := problem.Describe(code).Title, e.Message
	if what == "" || what == why {
		what, why = e.Message, ""
	}
	p := problem.New(code, what, why, e.Fix)
	p.Err = e
	return p
}
