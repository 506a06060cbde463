// Package shard is the one partition runtime that router, projector and
// executor share: partitions are assigned, opened, read in ordered batches and
// closed. It is independent of workflows; a [Worker] is not.
package shard

import (
	"context"
	"errors"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// Partition names one partition of a topic.
type Partition = kafka.TopicPartition

// Worker is what one kind of worker does with its partitions. Process and Close
// are never called at the same time; Open runs beside them, but never for the
// same partition twice at once.
type Worker interface {
	// Open prepares p and says at which offset to go on reading. committed is the
	// group's stable committed offset, -1 when there is none or no group. Open may
	// take long (a restore); other partitions are processed meanwhile. An error is
	// logged and Open is tried again with back-off while p is assigned. ctx ends
	// when p is revoked.
	Open(ctx context.Context, p Partition, committed int64) (next int64, err error)

	// Process handles a batch, or the beginning of it: of each partition as many
	// records as it likes, having set Open to the first that it left. On nil the
	// shard goes on behind what was handled, and the rest comes again. On ErrRetry the
	// same records come again. On ErrReopen every partition is opened again, and
	// reading goes on where Open says. Any other error ends Run.
	Process(ctx context.Context, b *Batch) error

	// Close forgets p, after its last batch. Work for p that Process began has
	// ended by then.
	Close(p Partition)

	// NextWake is when Process wants to be called although there may be no
	// records: the due time of the next timer. The zero time means never.
	NextWake() time.Time
}

// Errors that Process answers with.
var (
	ErrRetry  = errors.New("batch was not processed and may be tried again")
	ErrReopen = errors.New("batch has an unknown outcome: partitions must be opened again")
)

// ErrReplaced ends Run: another worker has joined the group under this one's
// instance id.
var ErrReplaced = errors.New("another worker runs under the same name; give each its own --slot")

// Batch is what Process gets: records of open partitions, in offset order
// within each partition, none missing. It may be empty: when NextWake has come,
// or when only the positions in Open have moved.
type Batch struct {
	Records []*kafka.Record
	// Open lists the open partitions that are owned for the whole batch, with the
	// next offset to read once the batch is done.
	Open map[Partition]int64
	// Blocked is for Process: partitions of which it can handle nothing now, and
	// when it wants to be asked again. Others go on meanwhile.
	Blocked map[Partition]time.Time
	// Rest is for Process: partitions of which it wants no more records before
	// then, because what they ask for is dear and others wait. What was read stays.
	// A partition in which records with another key wait does not rest.
	Rest map[Partition]time.Time
	// Fence holds the group membership under which Open is owned. It is zero
	// without a group.
	Fence kafka.Fence
}
