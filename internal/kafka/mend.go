package kafka

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Outcomes remembers how transactions ended, so that a [Mender] can end those
// whose end the brokers forgot. Safe for concurrent use.
//
// It speaks of transaction.version 2 only, where each transaction of a producer
// has an epoch of its own.
type Outcomes struct {
	mu        sync.Mutex
	ids       map[string]int64 // transactional id → producer id
	committed map[ended]bool
	order     []ended // oldest first
}

// ended names a transaction that has ended.
type ended struct {
	producer int64
	epoch    int16
}

// maxOutcomes is some ten seconds of a busy lane: the Mender looks more often.
const maxOutcomes = 16384

func (o *Outcomes) note(id string, producer int64, epoch int16, committed bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.committed == nil {
		o.ids, o.committed = make(map[string]int64), make(map[ended]bool)
	}
	o.ids[id] = producer
	at := ended{producer, epoch}
	if _, known := o.committed[at]; !known {
		o.order = append(o.order, at)
	}
	o.committed[at] = committed
	if len(o.order) > maxOutcomes {
		delete(o.committed, o.order[0])
		o.order = o.order[1:]
	}
}

func (o *Outcomes) of(producer int64, epoch int16) (committed, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	committed, known = o.committed[ended{producer, epoch}]
	return committed, known
}

// idOf is the transactional id of a producer, "" for one of somebody else.
func (o *Outcomes) idOf(producer int64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, p := range o.ids {
		if p == producer {
			return id
		}
	}
	return ""
}

// Mender writes the markers of transactions that have ended and that partitions
// keep open, which holds back everybody who reads committed records: a broker of
// Apache Kafka 4.3.1 that restarts forgets them when its coordinator is loaded
// before it knows the topics (docs/adr/0010-forgotten-markers.md). It touches
// the transactions of its Outcomes and no others. Not safe for concurrent use.
type Mender struct {
	admin    *Admin
	outcomes *Outcomes
	prefix   string
	stood    map[TopicPartition]int64 // where committed records ended at the last look, if they ended early
}

// NewMender makes a mender of the topics that begin with prefix.
func NewMender(a *Admin, o *Outcomes, prefix string) *Mender {
	return &Mender{admin: a, outcomes: o, prefix: prefix, stood: make(map[TopicPartition]int64)}
}

// Mended is a transaction that was ended.
type Mended struct {
	TransactionalID string
	ProducerID      int64
	Epoch           int16
	Committed       bool
	Partitions      []TopicPartition
}

// Look ends the transactions that were open at the last look too, and whose end
// is known. Call it every few seconds.
func (m *Mender) Look(ctx context.Context) ([]Mended, error) {
	suspects, err := m.standing(ctx)
	if err != nil || len(suspects) == 0 {
		return nil, err
	}
	before, err := m.open(ctx, suspects)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	if before, err = m.overAtCoordinator(ctx, before); err != nil || len(before) == 0 {
		return nil, err
	}
	// What the coordinator had ended before it was asked, and is open still, will
	// never be ended by it.
	after, err := m.open(ctx, suspects)
	if err != nil {
		return nil, err
	}
	return m.end(ctx, before, after)
}

// standing lists the partitions whose committed records end before the log, at
// the offset at which they ended at the last look.
func (m *Mender) standing(ctx context.Context) (suspects kadm.TopicsSet, err error) {
	all, err := m.admin.admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var names []string
	for name := range all {
		if strings.HasPrefix(name, m.prefix) || name == "__consumer_offsets" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	committed, err := m.admin.admin.ListCommittedOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list the ends of committed records: %w", err)
	}
	ends, err := m.admin.admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list the ends of logs: %w", err)
	}
	stood := m.stood
	m.stood = make(map[TopicPartition]int64)
	committed.Each(func(at kadm.ListedOffset) {
		end, ok := ends.Lookup(at.Topic, at.Partition)
		if !ok || at.Err != nil || end.Err != nil || at.Offset >= end.Offset {
			return
		}
		p := TopicPartition{Topic: at.Topic, Partition: at.Partition}
		m.stood[p] = at.Offset
		if before, ok := stood[p]; ok && before == at.Offset {
			suspects.Add(at.Topic, at.Partition)
		}
	})
	return suspects, nil
}

// open lists the open transactions of partitions, those whose outcome is known.
func (m *Mender) open(ctx context.Context, of kadm.TopicsSet) (map[TopicPartition]kadm.DescribedProducer, error) {
	described, err := m.admin.admin.DescribeProducers(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("describe producers: %w", err)
	}
	open := make(map[TopicPartition]kadm.DescribedProducer)
	described.EachProducer(func(p kadm.DescribedProducer) {
		if _, known := m.outcomes.of(p.ProducerID, p.ProducerEpoch); known && p.CurrentTxnStartOffset >= 0 {
			open[TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p
		}
	})
	return open, nil
}

// overAtCoordinator keeps the transactions that their coordinator is done with.
func (m *Mender) overAtCoordinator(ctx context.Context, open map[TopicPartition]kadm.DescribedProducer) (map[TopicPartition]kadm.DescribedProducer, error) {
	over := make(map[TopicPartition]kadm.DescribedProducer)
	for at, p := range open {
		described, err := m.admin.admin.DescribeTransactions(ctx, m.outcomes.idOf(p.ProducerID))
		if err != nil {
			return nil, fmt.Errorf("describe transactions: %w", err)
		}
		for _, d := range described {
			// The coordinator gives the next epoch away when it decides the end.
			if d.Err == nil && d.ProducerID == p.ProducerID &&
				(d.ProducerEpoch > p.ProducerEpoch+1 || d.ProducerEpoch == p.ProducerEpoch+1 && strings.HasPrefix(d.State, "Complete")) {
				over[at] = p
			}
		}
	}
	return over, nil
}

// end writes the markers of transactions that were open before and are after.
func (m *Mender) end(ctx context.Context, before, after map[TopicPartition]kadm.DescribedProducer) (done []Mended, err error) {
	byTransaction := make(map[ended]*Mended)
	topics := make(map[ended]kadm.TopicsSet)
	coordinator := make(map[ended]int32)
	for at, p := range before {
		if now := after[at]; now.ProducerID != p.ProducerID || now.ProducerEpoch != p.ProducerEpoch || now.CurrentTxnStartOffset != p.CurrentTxnStartOffset {
			continue
		}
		id := ended{p.ProducerID, p.ProducerEpoch}
		if byTransaction[id] == nil {
			committed, _ := m.outcomes.of(p.ProducerID, p.ProducerEpoch)
			byTransaction[id] = &Mended{
				TransactionalID: m.outcomes.idOf(p.ProducerID), ProducerID: p.ProducerID, Epoch: p.ProducerEpoch, Committed: committed,
			}
		}
		byTransaction[id].Partitions = append(byTransaction[id].Partitions, at)
		set := topics[id]
		set.Add(at.Topic, at.Partition)
		topics[id] = set
		coordinator[id] = max(coordinator[id], p.CoordinatorEpoch)
	}
	for id, mended := range byTransaction {
		responses, err := m.admin.admin.WriteTxnMarkers(ctx, kadm.TxnMarkers{
			ProducerID: id.producer, ProducerEpoch: id.epoch + 1, Commit: mended.Committed, CoordinatorEpoch: coordinator[id], Topics: topics[id],
		})
		responses.EachPartition(func(r kadm.TxnMarkersPartitionResponse) {
			if err == nil && r.Err != nil {
				err = fmt.Errorf("%s/%d: %w", r.Topic, r.Partition, r.Err)
			}
		})
		if err != nil {
			return done, fmt.Errorf("write the markers of producer %d, epoch %d (this needs ALTER or CLUSTER_ACTION on the cluster): %w", id.producer, id.epoch, err)
		}
		done = append(done, *mended)
	}
	return done, nil
}
