package projector

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/shard"
)

// PartitionStatus is how far one partition is folded.
type PartitionStatus struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Next      int64     `json:"next_offset" doc:"Everything below is in the views."`
	End       int64     `json:"end_offset" doc:"Of the log; -1 when it is not known."`
	Lag       int64     `json:"lag" doc:"Offsets between the two. A drained transactional log may show 1: the marker of its last commit."`
	Newest    time.Time `json:"newest,omitzero" doc:"When the newest record that is folded was written."`
}

type statusOutput struct {
	Body struct {
		Ready      bool              `json:"ready"`
		Reason     string            `json:"reason,omitempty" doc:"Why it is not ready."`
		Lag        int64             `json:"lag" doc:"Over all partitions."`
		Skipped    int64             `json:"skipped" doc:"Records since the start that were not a router's."`
		Followers  int               `json:"followers" doc:"Live streams that are open."`
		Partitions []PartitionStatus `json:"partitions"`
	}
}

func (p *Projector) routeStatus(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-status", Method: http.MethodGet, Path: "/api/v1/status", Summary: "Show how far the views are behind the log",
	}, p.status)
}

func (p *Projector) status(ctx context.Context, _ *struct{}) (*statusOutput, error) {
	out := &statusOutput{}
	if err := p.Ready(); err != nil {
		out.Body.Reason = err.Error()
	}
	out.Body.Ready = out.Body.Reason == ""
	out.Body.Skipped = p.skipped.Load()
	p.mu.Lock()
	at := maps.Clone(p.positions)
	out.Body.Followers = p.followers
	p.mu.Unlock()
	ends := p.logEnds(ctx, slices.Collect(maps.Keys(at)))
	out.Body.Partitions = make([]PartitionStatus, 0, len(at))
	for partition, position := range at {
		s := PartitionStatus{
			Topic: partition.Topic, Partition: partition.Partition, Next: position.Next, End: -1, Newest: position.Newest,
		}
		if end, ok := ends[partition]; ok {
			s.End, s.Lag = end, max(0, end-position.Next)
			out.Body.Lag += s.Lag
		}
		out.Body.Partitions = append(out.Body.Partitions, s)
	}
	slices.SortFunc(out.Body.Partitions, func(a, b PartitionStatus) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out, nil
}

// ends remembers where the logs end, so that many who ask do not load the broker.
type ends struct {
	asking  sync.Mutex
	at      time.Time
	offsets map[shard.Partition]int64
}

const (
	endsFresh   = time.Second
	endsTimeout = 3 * time.Second
	endsAtOnce  = 8
)

// logEnds asks for the ends of partitions, at most once a second while all are
// known. What cannot be had in time is missing in the answer.
func (p *Projector) logEnds(ctx context.Context, partitions []shard.Partition) map[shard.Partition]int64 {
	p.ends.asking.Lock()
	defer p.ends.asking.Unlock()
	unknown := func(of shard.Partition) bool { _, known := p.ends.offsets[of]; return !known }
	if p.config.Clock().Sub(p.ends.at) < endsFresh && !slices.ContainsFunc(partitions, unknown) {
		return p.ends.offsets
	}
	p.live.RLock()
	defer p.live.RUnlock()
	if p.live.db == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, endsTimeout)
	defer cancel()
	p.ends.offsets = rangeEnds(ctx, p.live.reader, partitions)
	p.ends.at = p.config.Clock()
	return p.ends.offsets
}

func rangeEnds(ctx context.Context, reader *kafka.Reader, partitions []shard.Partition) map[shard.Partition]int64 {
	var (
		mu    sync.Mutex
		found = make(map[shard.Partition]int64, len(partitions))
		todo  = make(chan shard.Partition)
		wg    sync.WaitGroup
	)
	for range min(endsAtOnce, len(partitions)) {
		wg.Go(func() {
			for partition := range todo {
				if bounds, err := reader.Range(ctx, partition); err == nil {
					mu.Lock()
					found[partition] = bounds.End
					mu.Unlock()
				}
			}
		})
	}
	for _, partition := range partitions {
		todo <- partition
	}
	close(todo)
	wg.Wait()
	return found
}
