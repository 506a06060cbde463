package workflow3

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// driver starts workflows by writing commands and sees them end by reading
// committed events. It reads headers only, so it costs both sides the same.
type driver struct {
	producer *kafka.Producer
	fetcher  *kafka.Fetcher
	start    func(events.UUID) (*kafka.Record, error)

	mu      sync.Mutex
	begun   map[string]time.Time // by instance id
	failure error
}

// newDriver follows the events of all partitions from their present end.
func newDriver(
	ctx context.Context, c kafka.Config, topic string, partitions int32, start func(events.UUID) (*kafka.Record, error),
) (*driver, error) {
	reader, err := kafka.NewReader(c)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	d := &driver{start: start, begun: make(map[string]time.Time)}
	if d.producer, err = kafka.NewProducer(c); err != nil {
		return nil, err
	}
	if d.fetcher, err = kafka.NewFetcher(c); err != nil {
		d.producer.Close()
		return nil, err
	}
	for p := range partitions {
		at := kafka.TopicPartition{Topic: topic, Partition: p}
		bounds, err := reader.Range(ctx, at)
		if err != nil {
			d.close()
			return nil, err
		}
		d.fetcher.Add(at, bounds.End)
	}
	return d, nil
}

func (d *driver) close() {
	d.producer.Close()
	d.fetcher.Close()
}

// patience is how long the driver waits for any workflow to end.
const patience = 30 * time.Second

// run keeps inFlight workflows running for a while: each that ends starts the
// next. It returns when all have ended; those that end late do not count.
func (d *driver) run(ctx context.Context, inFlight int, most time.Duration) (sample, error) {
	s := sample{took: most}
	began := time.Now()
	for range inFlight {
		d.begin(ctx)
	}
	s.all = inFlight
	for left := inFlight; left > 0; {
		polling, cancel := context.WithTimeout(ctx, patience)
		records, err := d.fetcher.Poll(polling, 5000)
		cancel()
		if err != nil {
			return s, err
		}
		now := time.Now()
		if len(records) == 0 || d.failed() != nil {
			return s, fmt.Errorf("%d of %d workflows did not end (%w)", left, s.all, d.failed())
		}
		for _, r := range records {
			if !rig.IsCompleted(r) {
				continue
			}
			began2, mine := d.ended(r)
			if !mine {
				continue
			}
			if now.Sub(began) > most {
				left--
				continue
			}
			s.latencies = append(s.latencies, now.Sub(began2))
			s.all++
			d.begin(ctx)
		}
	}
	return s, nil
}

// begin starts one workflow.
func (d *driver) begin(ctx context.Context) {
	id := rig.RandomID()
	d.mu.Lock()
	d.begun[id.String()] = time.Now()
	d.mu.Unlock()
	record, err := d.start(id)
	if err != nil {
		d.fail(err)
		return
	}
	d.producer.Go(ctx, record, d.fail)
}

func (d *driver) fail(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
}

func (d *driver) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

// ended takes a workflow out; mine is false when this driver did not start it.
func (d *driver) ended(r *kafka.Record) (began time.Time, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	began, mine = d.begun[string(r.Key)]
	delete(d.begun, string(r.Key))
	return began, mine
}
