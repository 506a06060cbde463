package executor

import (
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/pkg/events"
)

// Fail is a failure with a code of your own, such as CARD_DECLINED, which the
// definition can react to. The message is for people and is kept in the history:
// put no secret in it.
func Fail(code, message string, retryable bool) error {
	return &events.Error{Code: code, Message: message, Retryable: retryable}
}

// Terminal makes err a failure that is not retried. A code within err is kept.
func Terminal(err error) error { return executor.Terminal(err) }

// RetryAfter makes the next attempt, if the definition's retry policy has one,
// wait for d at least: what a service that is busy asked for. The wait is never
// longer than the policy's max (an hour when it has none). A code within err is
// kept; nil stays nil. Any error in the chain with a method
// RetryAfter() time.Duration does the same.
func RetryAfter(err error, d time.Duration) error { return executor.RetryAfter(err, d) }
