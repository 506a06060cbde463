package httpcall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/egress"
	"github.com/leat-io/leat/pkg/events"
)

// The codes of failures, besides HTTP_<status> for what a server answered. Only
// CodeTransport and CodeTimeout may be retried; of the answers those with status
// 408, 425, 429 and 5xx.
const (
	CodeHostNotAllowed = "HTTP_HOST_NOT_ALLOWED" // the host is not in the list of allowed ones
	CodeAddressRefused = "HTTP_ADDRESS_REFUSED"  // the host's name leads to a private address
	CodeBadRequest     = "HTTP_BAD_REQUEST"      // no request can be made of the task's input
	CodeBadResponse    = "HTTP_BAD_RESPONSE"     // the answer says that it is JSON, and is not
	CodeTooLarge       = "HTTP_TOO_LARGE"        // the answer does not fit a result
	CodeRedirect       = "HTTP_REDIRECT"         // too many redirects
	CodeTransport      = "HTTP_TRANSPORT"        // no connection, no TLS, or it broke
	CodeTimeout        = "HTTP_TIMEOUT"          // no answer in time, for a task without a timeout of its own
)

// fail is a final failure.
func fail(code, format string, args ...any) *events.Error {
	return &events.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// failure says what the error of a call means. unknown: the request was written
// and must not be written again. The texts name no query and no header: those
// may hold secrets.
func failure(ctx context.Context, req *http.Request, err error, unknown bool) error {
	var own *events.Error
	switch {
	case errors.As(err, &own):
		if unknown && strings.HasPrefix(own.Code, "HTTP_5") {
			own.Retryable = false
			own.Message += "; whether it was done is not known, and it must not be done twice"
		}
		if b, ok := errors.AsType[*busyError](err); ok {
			return b
		}
		return own
	case errors.Is(context.Cause(ctx), errUsualTime):
		own = &events.Error{Code: CodeTimeout, Message: describe(req) + ": " + errUsualTime.Error(), Retryable: true}
	case ctx.Err() != nil: // the executor knows why
		return fmt.Errorf("%s: %w", describe(req), context.Cause(ctx))
	case egress.IsAddress(err):
		return fail(CodeAddressRefused, "%s: %v; private addresses are refused unless the operator allows the address itself, or all with --http-allow-private "+
			"(and never to a redirect from another host)", describe(req), plain(err))
	default:
		own = &events.Error{Code: CodeTransport, Message: fmt.Sprintf("%s: %v", describe(req), plain(err)), Retryable: true}
	}
	if unknown {
		own.Retryable = false
		own.Message += "; whether it was done is not known, and it must not be done twice"
	}
	return own
}

// plain is err without the URL that net/http puts before it.
func plain(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

// statusError is why an answer is a failure, nil when it is none.
func statusError(resp *http.Response) error {
	status := resp.StatusCode
	if status >= 200 && status < 300 || status == http.StatusNotModified {
		return nil
	}
	retryable := status >= 500
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		retryable = true
	}
	failure := &events.Error{
		Code: fmt.Sprintf("HTTP_%d", status), Retryable: retryable,
		Message: fmt.Sprintf("%s answered %d %s", describe(resp.Request), status, http.StatusText(status)),
	}
	if after := retryAfter(resp.Header.Get("Retry-After"), time.Now()); after > 0 && retryable {
		return &busyError{failure, after}
	}
	return failure
}

// busyError is an answer that says when to come again. The executor asks it.
type busyError struct {
	failure *events.Error
	after   time.Duration
}

func (b *busyError) Error() string             { return b.failure.Error() }
func (b *busyError) Unwrap() error             { return b.failure }
func (b *busyError) RetryAfter() time.Duration { return b.after }

// retryAfter reads the header Retry-After: seconds, or a date. What cannot be
// read says nothing.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(now)
	}
	return 0
}
