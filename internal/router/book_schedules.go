package router

import (
	"fmt"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/shard"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

func scheduleKey(p shard.Partition, id string) []byte {
	return append(partitionKey(tagSchedule, p), id...)
}

// putProgress replaces how far a schedule is; a nil record forgets it.
func (b *book) putProgress(batch *store.Batch, p shard.Partition, id string, record []byte) {
	if record == nil {
		batch.Delete(scheduleKey(p, id))
		return
	}
	batch.Set(scheduleKey(p, id), record)
}

// progress is how far each schedule of p is.
func (b *book) progress(p shard.Partition) (map[string]events.ScheduleProgress, error) {
	prefix := partitionKey(tagSchedule, p)
	all := make(map[string]events.ScheduleProgress)
	err := b.db.Scan(prefix, after(prefix), func(key, value []byte) (bool, error) {
		id := string(key[len(prefix):])
		progress, err := avro.DecodeProgress(value)
		if err != nil {
			return false, fmt.Errorf("progress of schedule %s in %s: %w", id, p, err)
		}
		all[id] = progress
		return true, nil
	})
	return all, err
}
