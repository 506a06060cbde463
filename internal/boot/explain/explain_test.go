package explain

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err  error
		code problem.Code
	}{
		{fmt.Errorf("x: %w", devkafka.ErrLocked), problem.DirectoryLocked},
		{&devkafka.VersionError{Found: 2, Highest: 1}, problem.DirectoryNewer},
		{fmt.Errorf("x: %w", &kafka.TopicError{Topic: "t", Fix: "f"}), problem.TopicShape},
		{fmt.Errorf("x: %w", syscall.ECONNREFUSED), problem.KafkaAway},
		{fmt.Errorf("x: %w", syscall.ENOSPC), problem.DirectoryBad},
		{context.DeadlineExceeded, problem.TimedOut},
		{context.Canceled, problem.Interrupted},
		{errors.New("TOPIC_AUTHORIZATION_FAILED: no"), problem.KafkaAuth},
		{errors.New("odd"), problem.Internal},
	} {
		if p := Error("what", c.err); p.Code != c.code || p.Why == "" {
			t.Errorf("%v is explained as %s: %v", c.err, p.Code, p)
		}
	}
}
