package cli

import (
	"context"
	"errors"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
)

// explain turns every error of a command into a problem: the one way out.
func explain(err error) *problem.Problem {
	if known, ok := errors.AsType[*problem.Problem](err); ok {
		return known
	}
	if theirs, ok := errors.AsType[*client.Error](err); ok {
		return explainClient(theirs)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return problem.New(problem.TimedOut, "the command timed out", "", "")
	}
	return boot.Explain("the command failed", err)
}

// explainClient keeps the client's code and fix. When Kafka refuses or is not
// there, what lies behind it says more.
func explainClient(e *client.Error) *problem.Problem {
	code := problem.Code(e.Code)
	if code == problem.KafkaAway && e.Err != nil {
		if behind := boot.Explain(e.Message, e.Err); behind.Code == problem.KafkaAuth {
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
