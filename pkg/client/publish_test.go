package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

const contenders = 6

// atOnce runs do for each contender, on a client of its own, at the same time.
func atOnce(t *testing.T, c *Client, do func(context.Context, *Client, int) error) []error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	errs := make([]error, contenders)
	var all sync.WaitGroup
	for i := range contenders {
		config := c.config
		config.Source = fmt.Sprint("contender ", i)
		own, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer own.Close()
			errs[i] = do(ctx, own, i)
		})
	}
	all.Wait()
	return errs
}

// oneWins checks that one of errs is nil and the others are of a kind, and says
// which it is.
func oneWins(t *testing.T, errs []error, others error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Fatalf("%d and %d were both told that theirs counts", winner, i)
		case !errors.Is(err, others):
			t.Fatalf("%d: got %v, want %v", i, err, others)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	return winner
}

// valuesOf lists the records of a key.
func valuesOf(t *testing.T, c *Client, topic, key string) (values [][]byte) {
	t.Helper()
	if err := c.whole(t.Context(), topic, func(r *kafka.Record) error {
		if string(r.Key) == key {
			values = append(values, r.Value)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestOfManyDeploysOneCounts(t *testing.T) {
	c := newClient(t)
	for round := range 3 {
		version := round + 1
		source := func(i int) string {
			return strings.Replace(order, "version: 1", fmt.Sprintf("version: %d # of %d", version, i), 1)
		}
		errs := atOnce(t, c, func(ctx context.Context, c *Client, i int) error {
			_, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(source(i)), Partitions: 4})
			return err
		})
		winner := oneWins(t, errs, ErrDeployed)
		d, err := c.Definition(t.Context(), "order", int32(version))
		if err != nil || d.Source != source(winner) || d.DeployedBy != fmt.Sprint("contender ", winner) {
			t.Fatalf("%d won, there is %+v, %v", winner, d, err)
		}
		if values := valuesOf(t, c, c.names.Definitions(), d.Key()); len(values) != 1 {
			t.Fatalf("%d records of %s: compaction could exchange them", len(values), d.Key())
		}
	}
}

func TestManyDeploysOfOneSource(t *testing.T) {
	c := newClient(t)
	for i, err := range atOnce(t, c, func(ctx context.Context, c *Client, _ int) error {
		_, err := c.Deploy(ctx, DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4})
		return err
	}) {
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if values := valuesOf(t, c, c.names.Definitions(), "order@1"); len(values) != 1 {
		t.Fatalf("%d records", len(values))
	}
}

// What stands on the topic from other programs and earlier versions.
func TestDeployBesideOtherRecords(t *testing.T) {
	other := order + "# other\n"
	valid := func(source string) []byte {
		value, err := avro.EncodeDefinition(&events.DefinitionRecord{
			WorkflowType: "order", Version: 1, Source: source, Partitions: 4, DeployedAt: events.Instant(time.Now()), DeployedBy: source,
		})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	garbage, useless := []byte("garbage"), valid("leat: v1\ntype: order\nversion: 1\n")
	for name, there := range map[string]struct {
		records [][]byte // of order@1; nil is a tombstone
		err     error    // of deploying order
		written int      // records by deploying
		counts  string   // source that counts before, "" for none
	}{
		"the same":                 {[][]byte{valid(order)}, nil, 0, order},
		"another":                  {[][]byte{valid(other)}, ErrDeployed, 0, other},
		"the same before another":  {[][]byte{valid(order), valid(other)}, nil, 1, order},
		"another before the same":  {[][]byte{valid(other), valid(order)}, ErrDeployed, 0, other},
		"the same before garbage":  {[][]byte{valid(order), garbage}, nil, 1, order},
		"garbage":                  {[][]byte{garbage}, nil, 1, ""},
		"garbage before another":   {[][]byte{garbage, valid(other)}, ErrDeployed, 0, other},
		"a tombstone":              {[][]byte{nil}, nil, 1, ""},
		"a tombstone behind it":    {[][]byte{valid(order), nil}, nil, 1, order},
		"a tombstone then another": {[][]byte{valid(order), nil, valid(other)}, nil, 1, order},
		"what is no definition":    {[][]byte{useless, valid(order)}, nil, 0, order},
		"only no definition":       {[][]byte{useless}, nil, 1, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			topic := c.names.Definitions()
			provisionShared(t, c)
			send(t, c, kafka.NewRecord(topic, []byte("order@2"), valid(other))) // of another key: counts for nobody
			defer func() {                                                      // whatever was there, a next version can be deployed
				two := strings.Replace(order, "version: 1", "version: 2", 1)
				forged, err := avro.EncodeDefinition(&events.DefinitionRecord{
					WorkflowType: "order", Version: 2, Source: two, Partitions: 8, DeployedAt: events.Instant(time.Now()),
				})
				if err != nil {
					t.Fatal(err)
				}
				if there.counts != "" && there.counts != "-" {
					send(t, c, kafka.NewRecord(topic, []byte("order@2"), forged)) // its type has 4 partitions
				}
				for range 2 {
					d, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(two + "# really\n")})
					if err != nil || d.Version != 2 {
						t.Fatalf("next version: got %+v, %v", d, err)
					}
				}
				if list, err := c.Definitions(t.Context()); err != nil || list[len(list)-1].Source != two+"# really\n" {
					t.Fatalf("got %+v, %v", list, err)
				}
			}()
			for _, value := range there.records {
				send(t, c, kafka.NewRecord(topic, []byte("order@1"), value))
			}
			if d, err := c.Definition(t.Context(), "order", 1); there.counts != "-" && (d.Source != there.counts || (err == nil) != (there.counts != "")) {
				t.Fatalf("before: got %+v, %v", d, err)
			}
			if _, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(order)}); !errors.Is(err, there.err) {
				t.Fatalf("got %v", err)
			}
			values := valuesOf(t, c, topic, "order@1")
			if n := len(values) - len(there.records); n != there.written {
				t.Fatalf("deploying wrote %d records", n)
			}
			if there.err != nil {
				return
			}
			newest, err := avro.DecodeDefinition(values[len(values)-1])
			if err != nil || newest.Source != order {
				t.Fatalf("compaction would keep %+v, %v", newest, err)
			}
		})
	}
}

func provisionShared(t *testing.T, c *Client) {
	t.Helper()
	admin, err := c.administering()
	if err == nil {
		err = admin.Provision(t.Context(), kafka.Replicas(0), c.names.Shared()...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, c *Client, records ...*kafka.Record) {
	t.Helper()
	producer, err := c.producing()
	if err == nil {
		err = producer.Send(t.Context(), records...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOfManySchedulesOneIsCreated(t *testing.T) {
	c := newClient(t)
	if _, err := c.Deploy(t.Context(), DeployRequest{Name: "order.yaml", Source: []byte(order), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	hourly := Schedule{ScheduleID: "hourly", WorkflowType: "order", Every: time.Hour}
	winner := oneWins(t, atOnce(t, c, func(ctx context.Context, c *Client, _ int) error {
		_, err := c.CreateSchedule(ctx, hourly) // the same one: still one of them made it
		return err
	}), ErrScheduleExists)
	s, err := c.Schedule(t.Context(), "hourly")
	if err != nil || s.UpdatedBy != fmt.Sprint("contender ", winner) {
		t.Fatalf("%d won, there is %+v, %v", winner, s, err)
	}
	if values := valuesOf(t, c, c.names.Schedules(), "hourly"); len(values) != 1 {
		t.Fatalf("%d records", len(values))
	}
	// Changes of one schedule by many at once: none is lost.
	for i, err := range atOnce(t, c, func(ctx context.Context, c *Client, i int) error {
		if i == 0 {
			_, err := c.PauseSchedule(ctx, "hourly", "at once")
			return err
		}
		changed := hourly
		changed.Paused, changed.Every = true, time.Duration(i)*time.Hour
		_, _, err := c.ApplySchedule(ctx, changed)
		return err
	}) {
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if s, err = c.Schedule(t.Context(), "hourly"); err != nil || !s.Paused {
		t.Fatalf("got %+v, %v", s, err)
	}
	oneWins(t, atOnce(t, c, func(ctx context.Context, c *Client, _ int) error { return c.DeleteSchedule(ctx, "hourly") }), ErrNoSchedule)
}
