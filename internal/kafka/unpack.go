package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxUnpacked is how large a batch may become when it is unpacked. What Leat and
// other honest producers write is about a megabyte; a few kilobytes can be made
// to unpack to gigabytes.
const maxUnpacked = 16 << 20

// skip goes on behind a batch that unpacks to more than maxUnpacked, and returns
// a record that stands for it: at the batch's last offset, without a key, and
// with a value that no decoder takes. So whoever reads counts it and passes over
// it like any other record that cannot be read, and comes to the end of the log.
func skip(client *kgo.Client, large *kgo.ErrDecompressTooLarge) *Record {
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		large.Topic: {large.Partition: {Epoch: large.Epoch, Offset: large.NextOffset}},
	})
	return &Record{
		Topic: large.Topic, Partition: large.Partition, Offset: large.NextOffset - 1,
		Value: fmt.Appendf(nil, "%s%d to %d of %s/%d unpacks to more than %d bytes; it was skipped", skippedBatch,
			large.Offset, large.NextOffset-1, large.Topic, large.Partition, maxUnpacked),
	}
}

// skippedBatch begins the value of a record that stands for a skipped batch.
const skippedBatch = "batch of offsets "

// readable lists the records of fetches, with one for each batch that was skipped.
func readable(client *kgo.Client, fetches kgo.Fetches) ([]*Record, error) {
	records := fetches.Records()
	for _, e := range fetches.Errors() {
		var large *kgo.ErrDecompressTooLarge
		if !errors.As(e.Err, &large) {
			return nil, e.Err
		}
		records = append(records, skip(client, large))
	}
	return records, nil
}
