package input

import (
	"fmt"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// Partitions refuses a count that no deployed definition may have.
func Partitions(n, least int) error {
	switch {
	case n < least:
		return problem.New(problem.Usage, "--partitions must be at least 1", fmt.Sprintf("it is %d", n), "")
	case n > events.MaxPartitions:
		return problem.New(problem.Usage, fmt.Sprintf("--partitions must be at most %d", events.MaxPartitions), fmt.Sprintf("it is %d", n), "")
	}
	return nil
}
