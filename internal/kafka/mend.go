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
// has an epoch of its own; elsewhere it stays empty.
type Outcomes struct {
	mu        sync.Mutex
	tells     bool // the cluster has transaction.version 2
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

// begin says what the cluster can.
func (o *Outcomes) begin(version int16) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tells = version >= 2
}

func (o *Outcomes) note(producer int64, epoch int16, committed bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.tells {
		return
	}
	if o.committed == nil {
		o.committed = make(map[ended]bool)
	}
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

// noteLast notes what a coordinator says of the newest transaction of an id. It
// gives the next epoch away when it decides the end.
func (o *Outcomes) noteLast(d kadm.DescribedTransaction) {
	switch d.State {
	case "PrepareCommit", "CompleteCommit":
		o.note(d.ProducerID, d.ProducerEpoch-1, true)
	case "PrepareAbort", "CompleteAbort":
		o.note(d.ProducerID, d.ProducerEpoch-1, false)
	}
}

func (o *Outcomes) of(producer int64, epoch int16) (committed, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	committed, known = o.committed[ended{producer, epoch}]
	return committed, known
}

// Mender writes the markers of transactions that have ended and that partitions
// keep open, which holds back everybody who reads committed records: a broker of
// Apache Kafka 4.3.1 that restarts forgets them when its coordinator is loaded
// before it knows the topics (docs/adr/0010-forgotten-markers.md). It touches
// the transactions of its Outcomes and no others. Not safe for concurrent use.
type Mender struct {
	admin    *Admin
	outcomes *Outcomes
	ids      []string
	prefix   string
	stood    map[TopicPartition]int64 // where committed records ended at the last look, if they ended early
}

// NewMender makes a mender of the transactions of ids, in the topics that begin
// with prefix.
func NewMender(a *Admin, o *Outcomes, prefix string, ids ...string) *Mender {
	return &Mender{admin: a, outcomes: o, ids: ids, prefix: prefix, stood: make(map[TopicPartition]int64)}
}

// Mended is a transaction that was ended.
type Mended struct {
	TransactionalID string
	ProducerID      int64
	Epoch           int16
	Committed       bool
	Partitions      []TopicPartition
}

// open is a transaction that a partition keeps open.
type open = map[TopicPartition]kadm.DescribedProducer

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
	described, err := m.admin.admin.DescribeTransactions(ctx, m.ids...)
	if err != nil {
		return nil, fmt.Errorf("describe transactions: %w", err)
	}
	// What the coordinator had ended before it was asked, and is open still, will
	// never be ended by it.
	after, err := m.open(ctx, suspects)
	if err != nil {
		return nil, err
	}
	var done []Mended
	for _, d := range described {
		if d.Err == nil {
			m.outcomes.noteLast(d)
			mended, err := m.end(ctx, d, forgotten(d, before, after))
			if done = append(done, mended...); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

// forgotten are the transactions that were open before their coordinator said
// that it is done with them, and are open after.
func forgotten(d kadm.DescribedTransaction, before, after open) open {
	all := make(open)
	for at, p := range before {
		now := after[at]
		over := d.ProducerEpoch > p.ProducerEpoch+1 || d.ProducerEpoch == p.ProducerEpoch+1 && strings.HasPrefix(d.State, "Complete")
		if p.ProducerID == d.ProducerID && over &&
			now.ProducerID == p.ProducerID && now.ProducerEpoch == p.ProducerEpoch && now.CurrentTxnStartOffset == p.CurrentTxnStartOffset {
			all[at] = p
		}
	}
	return all
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

// open lists what partitions keep open.
func (m *Mender) open(ctx context.Context, of kadm.TopicsSet) (open, error) {
	described, err := m.admin.admin.DescribeProducers(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("describe producers: %w", err)
	}
	all := make(open)
	described.EachProducer(func(p kadm.DescribedProducer) {
		if p.CurrentTxnStartOffset >= 0 {
			all[TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p
		}
	})
	return all, nil
}

// end writes the markers of one producer's transactions, of those whose outcome
// is known.
func (m *Mender) end(ctx context.Context, d kadm.DescribedTransaction, all open) (done []Mended, err error) {
	byEpoch := make(map[int16]*kadm.TxnMarkers)
	for at, p := range all {
		committed, known := m.outcomes.of(p.ProducerID, p.ProducerEpoch)
		if !known {
			continue
		}
		markers := byEpoch[p.ProducerEpoch]
		if markers == nil {
			markers = &kadm.TxnMarkers{ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch + 1, Commit: committed}
			byEpoch[p.ProducerEpoch] = markers
		}
		markers.Topics.Add(at.Topic, at.Partition)
		markers.CoordinatorEpoch = max(markers.CoordinatorEpoch, p.CoordinatorEpoch)
	}
	for epoch, markers := range byEpoch {
		responses, err := m.admin.admin.WriteTxnMarkers(ctx, *markers)
		mended := Mended{TransactionalID: d.TxnID, ProducerID: d.ProducerID, Epoch: epoch, Committed: markers.Commit}
		responses.EachPartition(func(r kadm.TxnMarkersPartitionResponse) {
			if err == nil && r.Err != nil {
				err = fmt.Errorf("%s/%d: %w", r.Topic, r.Partition, r.Err)
			}
			mended.Partitions = append(mended.Partitions, TopicPartition{Topic: r.Topic, Partition: r.Partition})
		})
		if err != nil {
			return done, fmt.Errorf("write the markers of %s, epoch %d (this needs ALTER or CLUSTER_ACTION on the cluster): %w", d.TxnID, epoch, err)
		}
		done = append(done, mended)
	}
	return done, nil
}
