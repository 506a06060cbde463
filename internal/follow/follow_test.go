package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "told"

// cluster is a broker with one topic.
type cluster struct {
	t        *testing.T
	config   kafka.Config
	producer *kafka.Producer
	reader   *kafka.Reader
}

func start(t *testing.T) *cluster {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	c := &cluster{t: t, config: kafka.Config{Brokers: broker.ListenAddrs()}}
	admin, err := kafka.NewAdmin(c.config)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Provision(t.Context(), 1, topics.Spec{Name: topic, Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	if c.producer, err = kafka.NewProducer(c.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.producer.Close)
	if c.reader, err = kafka.NewReader(c.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.reader.Close)
	return c
}

func (c *cluster) topics(idle time.Duration) *Topics {
	c.t.Helper()
	all := New(Config{
		Kafka: c.config, Reader: func() (*kafka.Reader, error) { return c.reader, nil }, Idle: idle,
		Logger: slog.New(slog.NewTextHandler(c.t.Output(), nil)),
	})
	c.t.Cleanup(all.Close)
	return all
}

func (c *cluster) send(id events.UUID, value string) {
	c.t.Helper()
	if err := c.producer.Send(c.t.Context(), kafka.NewRecord(topic, []byte(id.String()), []byte(value))); err != nil {
		c.t.Fatal(err)
	}
}

func id(n int) events.UUID { return events.DeriveUUID(events.Namespace, fmt.Sprint("follow/", n)) }

func next(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing comes")
		return ""
	}
}

// Who watches sees what is written from then on, of its key or of all keys.
func TestAWatchSeesWhatComes(t *testing.T) {
	c := start(t)
	c.send(id(1), "before")
	all := c.topics(0)
	mine, every := make(chan string, 10), make(chan string, 10)
	into := func(seen chan string) *Watch {
		return &Watch{Record: func(r *kafka.Record) { seen <- string(r.Value) }, Over: func() { seen <- "over" }}
	}
	forget, err := all.Watch(t.Context(), into(mine), Place{Topic: topic, Key: id(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.Watch(t.Context(), into(every), Place{Topic: topic}); err != nil {
		t.Fatal(err)
	}
	c.send(id(2), "other")
	if got := next(t, every); got != "other" {
		t.Fatalf("got %s", got)
	}
	c.send(id(1), "mine")
	if got := next(t, mine) + " " + next(t, every); got != "mine mine" {
		t.Fatalf("got %s", got)
	}
	if all.Watching() != 2 || all.Reading() != 1 {
		t.Fatalf("%d watched, %d read", all.Watching(), all.Reading())
	}
	forget()
	forget()
	c.send(id(1), "again")
	if got := next(t, every); got != "again" || len(mine) != 0 {
		t.Fatalf("got %s, and %d", got, len(mine))
	}
	all.Close()
	if got := next(t, every); got != "over" {
		t.Fatalf("got %s", got)
	}
	if _, err := all.Watch(t.Context(), into(mine), Place{Topic: topic}); !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v", err)
	}
}

// A topic that nobody waits on is read no longer, and again when somebody does.
func TestReadersRest(t *testing.T) {
	c := start(t)
	all := c.topics(10 * time.Millisecond)
	for i := range 3 {
		seen := make(chan string, 1)
		forget, err := all.Watch(t.Context(), &Watch{Record: func(r *kafka.Record) { seen <- string(r.Value) }}, Place{Topic: topic, Key: id(i)})
		if err != nil {
			t.Fatal(err)
		}
		c.send(id(i), "here")
		next(t, seen)
		forget()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for all.Reading() > 0 {
			if ctx.Err() != nil {
				t.Fatal("it is still read")
			}
			kafka.Pause(ctx, 5*time.Millisecond)
		}
		cancel()
	}
}

// A topic that is not there is an error, for each who asks.
func TestATopicThatIsNotThere(t *testing.T) {
	c := start(t)
	all := c.topics(0)
	for range 2 {
		if _, err := all.Watch(t.Context(), &Watch{}, Place{Topic: "none"}); !kafka.NoTopic(err) {
			t.Fatalf("got %v", err)
		}
	}
	if all.Reading() != 0 {
		t.Errorf("%d are read", all.Reading())
	}
}
