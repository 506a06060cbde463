package registry

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/schedule"
)

// Schedules holds every schedule, as workflow.schedules has them. Run follows
// the topic; the other methods are safe for concurrent use.
type Schedules struct {
	config  Config
	changed func()

	mu       sync.Mutex
	byType   map[string]map[string]*schedule.Schedule
	typeOf   map[string]string // of each schedule
	unread   map[string]bool   // schedules of a newer engine, or damaged: they are there, and rest
	next     int64
	caught   bool
	revision int64
}

// NewSchedules makes an empty set. changed is called, from Run's goroutine,
// whenever schedules came in.
func NewSchedules(c Config, changed func()) *Schedules {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Schedules{
		config: c, changed: changed,
		byType: make(map[string]map[string]*schedule.Schedule), typeOf: make(map[string]string), unread: make(map[string]bool),
	}
}

// Run follows the topic until ctx ends. It makes the topic when it is missing,
// and waits for a broker that is away.
func (s *Schedules) Run(ctx context.Context) error {
	return kafka.KeepOn(ctx, s.follow, func(err error) {
		s.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot read schedules, trying again", slog.Any("error", err))
	})
}

func (s *Schedules) follow(ctx context.Context) error {
	if err := kafka.Provision(ctx, s.config.Kafka, kafka.Replicas(s.config.ReplicationFactor), s.config.Names.Shared()...); err != nil {
		return err
	}
	if err := s.Sync(ctx); err != nil {
		return err
	}
	fetcher, err := kafka.NewFetcher(s.config.Kafka)
	if err != nil {
		return err
	}
	defer fetcher.Close()
	s.mu.Lock()
	from := s.next
	s.mu.Unlock()
	s.changed()
	fetcher.Add(s.partition(), from)
	for ctx.Err() == nil {
		records, err := fetcher.Poll(ctx, 1000)
		if err != nil {
			return err
		}
		if s.apply(ctx, records...) {
			s.changed()
		}
	}
	return nil
}

// Sync takes in every schedule that there is at the time of the call. It may run
// beside Run.
func (s *Schedules) Sync(ctx context.Context) error {
	reader, err := kafka.NewReader(s.config.Kafka)
	if err != nil {
		return err
	}
	defer reader.Close()
	bounds, err := reader.Range(ctx, s.partition())
	if err != nil {
		return fmt.Errorf("look for newer schedules: %w", err)
	}
	s.mu.Lock()
	emptied := s.next > bounds.End
	if emptied {
		s.next = bounds.Start
	}
	s.mu.Unlock()
	if emptied {
		s.config.Logger.LogAttrs(ctx, slog.LevelError, "the topic of schedules was deleted and created again, writing back what is known here",
			slog.String("topic", s.partition().Topic))
		if err := s.writeBack(ctx); err != nil {
			return err
		}
		return s.Sync(ctx)
	}
	s.mu.Lock()
	s.next = max(s.next, bounds.Start)
	from := s.next
	s.mu.Unlock()
	err = reader.ReadTo(ctx, s.partition(), from, bounds.End, func(record *kafka.Record) error {
		s.apply(ctx, record)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for newer schedules: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = max(s.next, bounds.End) // the end may be of markers or of what was compacted away
	if !s.caught {
		s.caught = true
		s.revision++
	}
	return nil
}

func (s *Schedules) partition() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: s.config.Names.Schedules()}
}

// apply takes records in, in their order; a record that was taken in before
// changes nothing. It reports whether any did.
func (s *Schedules) apply(ctx context.Context, records ...*kafka.Record) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, record := range records {
		if record.Offset < s.next {
			continue
		}
		s.next, changed = record.Offset+1, true
		id := string(record.Key)
		delete(s.byType[s.typeOf[id]], id)
		delete(s.typeOf, id)
		delete(s.unread, id)
		if record.Value == nil {
			continue
		}
		compiled, err := compileSchedule(id, record.Value)
		if err != nil {
			s.unread[id] = true
			s.config.Logger.LogAttrs(ctx, slog.LevelError, "schedule cannot be used, it starts nothing", slog.String("schedule", id),
				slog.Int64("offset", record.Offset), slog.Any("error", err))
			continue
		}
		if s.byType[compiled.WorkflowType] == nil {
			s.byType[compiled.WorkflowType] = make(map[string]*schedule.Schedule)
		}
		s.byType[compiled.WorkflowType][id], s.typeOf[id] = compiled, compiled.WorkflowType
	}
	if changed {
		s.revision++
	}
	return changed
}

func compileSchedule(id string, value []byte) (*schedule.Schedule, error) {
	record, err := avro.DecodeSchedule(value)
	if err != nil {
		return nil, err
	}
	if record.ScheduleID != id {
		return nil, fmt.Errorf("the record is of schedule %q", record.ScheduleID)
	}
	return schedule.Compile(record)
}

// Revision rises whenever schedules come in. 0 means that those which were there
// before Run are not known yet.
func (s *Schedules) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.caught {
		return 0
	}
	return s.revision
}

// Of lists the schedules of a workflow type by id. unread are the ids of those,
// of any type, that are there and cannot be read.
func (s *Schedules) Of(workflowType string) (list []*schedule.Schedule, unread map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := s.byType[workflowType]
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		list = append(list, byID[id])
	}
	return list, maps.Clone(s.unread)
}
