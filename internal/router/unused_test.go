package router

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leat-io/leat/internal/kafka"
)

// A broker forgets what was not used for a week: producers are replaced before
// that, so that the first decision after a quiet month is not refused.
func TestProducersThatWereNotUsedAreReplaced(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	now := time.Now()
	config := Config{Kafka: kafka.Config{Brokers: cluster.ListenAddrs()}, Slot: "a", Clock: func() time.Time { return now }}
	l := newLane(config, nil, nil, nil)
	defer l.closeProducers()
	var first *kafka.Transactor
	for _, c := range []struct {
		later    time.Duration
		replaced bool
	}{{0, false}, {48 * time.Hour, false}, {30 * 24 * time.Hour, true}, {time.Hour, false}} {
		now = now.Add(c.later)
		got, err := l.producer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && (got != first) != c.replaced {
			t.Errorf("after %s: replaced is %t", c.later, got != first)
		}
		first = got
	}
}
