// Package explain turns what went wrong into what a user sees.
package explain

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// Error turns an error of the engine into what a user sees: the one place
// where that is decided. what says what could not be done.
func Error(what string, err error) *problem.Problem {
	if known, ok := errors.AsType[*problem.Problem](err); ok {
		return known
	}
	if p := explainDirectory(what, err); p != nil {
		return p
	}
	if p := explainKafka(what, err); p != nil {
		return p
	}
	var field *events.FieldError
	switch {
	case errors.As(err, &field):
		return problem.Wrap(problem.CommandInvalid, what, err)
	case errors.Is(err, context.DeadlineExceeded):
		return problem.Wrap(problem.TimedOut, what, err)
	case errors.Is(err, context.Canceled):
		return problem.Wrap(problem.Interrupted, what, err)
	}
	return problem.Wrap(problem.Internal, what, err)
}

func explainDirectory(what string, err error) *problem.Problem {
	var older *store.VersionError
	var brokerOlder *devkafka.VersionError
	var path *devkafka.AddrError
	switch {
	case errors.Is(err, devkafka.ErrLocked), errors.Is(err, store.ErrLocked):
		return problem.Wrap(problem.DirectoryLocked, what, err)
	case errors.As(err, &older), errors.As(err, &brokerOlder):
		return problem.Wrap(problem.DirectoryNewer, what, err)
	case errors.As(err, &path):
		return Listen(what, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return problem.Wrap(problem.DirectoryBad, what, err)
	}
	return nil
}

// Listen is Error for an address that cannot be listened on.
func Listen(what string, err error) *problem.Problem {
	if errors.Is(err, syscall.EADDRINUSE) {
		return problem.Wrap(problem.AddressTaken, what, err)
	}
	return problem.Wrap(problem.AddressRefused, what, err)
}

// explainKafka tells a broker that is away from one that refuses.
func explainKafka(what string, err error) *problem.Problem {
	if shape, ok := errors.AsType[*kafka.TopicError](err); ok {
		p := problem.New(problem.TopicShape, what, err.Error(), shape.Fix)
		p.Err = err
		return p
	}
	text := err.Error()
	for code, marks := range map[problem.Code][]string{
		problem.KafkaAuth:    {"SASL_AUTHENTICATION_FAILED", "AUTHORIZATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "is SASL missing", "SASL"},
		problem.TopicMissing: {"UNKNOWN_TOPIC_OR_PARTITION"},
	} {
		for _, m := range marks {
			if strings.Contains(text, m) {
				return problem.Wrap(code, what, err)
			}
		}
	}
	if isAway(err) {
		return problem.Wrap(problem.KafkaAway, what, err)
	}
	return nil
}

// isAway reports that the network, not the engine, is at fault.
func isAway(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED) ||
		strings.Contains(err.Error(), "unable to dial") || strings.Contains(err.Error(), "reach kafka")
}

// Lasting reports that trying again cannot help: an operator has to change something.
func Lasting(p *problem.Problem) bool {
	switch p.Code {
	case problem.TopicShape, problem.DirectoryLocked, problem.DirectoryNewer, problem.DirectoryBad,
		problem.AddressTaken, problem.AddressRefused, problem.BadSetting, problem.DefinitionInvalid:
		return true
	default:
		return false
	}
}

// NoBroker is for a list of brokers that names none, such as an empty variable
// in a script leaves behind.
func NoBroker(why string) error {
	return problem.New(problem.BadSetting, "no Kafka broker is named", why, "name one as host:port, or leave the setting out")
}
