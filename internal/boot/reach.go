package boot

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/problem"
)

// reachLimit is how long a broker may take to open a connection.
const reachLimit = 2 * time.Second

// Reach says at once that no broker can be connected to, where a Kafka client
// would try until its time is over. nil when one answers; who it is and what
// it allows, the client finds out.
func Reach(ctx context.Context, brokers []string) error {
	if len(brokers) == 0 {
		return explain.NoBroker("kafka.brokers is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	errs := make([]error, len(brokers))
	var wg sync.WaitGroup
	for i, b := range brokers {
		wg.Go(func() {
			if _, _, err := net.SplitHostPort(b); err != nil {
				b = net.JoinHostPort(b, "9092") // as the Kafka client reads it
			}
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b)
			if err == nil {
				_ = conn.Close()
				cancel() // one is enough
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			return nil
		}
	}
	return problem.Wrap(problem.KafkaAway, "no Kafka broker answers at "+strings.Join(brokers, ", "), errors.Join(errs...))
}
