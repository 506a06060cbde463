package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxUnpacked is how large a batch may become when it is unpacked. What Leat and
// other honest producers write is about a megabyte; a few kilobytes can be made
// to unpack to gigabytes.
const maxUnpacked = 16 << 20

const (
	// maxBatchRecords is how many records a packed batch may have. Each costs the
	// client some hundred bytes, and may be nothing at all in the batch.
	maxBatchRecords = 1 << 17
	// maxAhead is how much is unpacked before a reader takes it. One fetch can have
	// a thousand batches that are each as large as one may be.
	maxAhead = 32 << 20
	// recordCost is what the client needs for a record beside its bytes.
	recordCost = 256
)

// errLater says that a batch is not unpacked now: enough is. The client keeps
// what precedes it and asks for it again.
var errLater = errors.New("enough is unpacked already")

// unpacker bounds what a client unpacks: a batch, and all batches that no reader
// has taken yet. A batch that cannot be unpacked is no error of the network,
// whose checks it passed: it is skipped like one that is too large, because it
// would be the same the next time.
type unpacker struct {
	bounded kgo.Decompressor
	ahead   atomic.Int64
}

// bounded is the library's own way to unpack, which it makes for the bound that a
// client is given.
var bounded = sync.OnceValues(func() (kgo.Decompressor, error) {
	client, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(maxUnpacked))
	if err != nil {
		return nil, fmt.Errorf("bound what batches unpack to: %w", err)
	}
	defer client.Close()
	d, ok := client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return nil, errors.New("bound what batches unpack to: the client has no decompressor")
	}
	return d, nil
})

func newUnpacker() (*unpacker, error) {
	d, err := bounded()
	return &unpacker{bounded: d}, err
}

// unpackerOf is what newClient gave to a client.
func unpackerOf(client *kgo.Client) *unpacker {
	u, _ := client.OptValue(kgo.WithDecompressor).(*unpacker)
	return u
}

// Decompress unpacks a batch, or says that it is skipped or that it has to wait.
func (u *unpacker) Decompress(packed []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if u.ahead.Load() > maxAhead {
		return nil, errLater
	}
	plain, err := u.bounded.Decompress(packed, codec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kgo.ErrMaxDecompress, err)
	}
	n, whole := countRecords(plain)
	if !whole || n > maxBatchRecords {
		return nil, fmt.Errorf("%w: %d records", kgo.ErrMaxDecompress, n)
	}
	u.ahead.Add(int64(len(plain) + n*recordCost))
	return plain, nil
}

// taken says that what was unpacked is the reader's now.
func (u *unpacker) taken() { u.ahead.Store(0) }

// countRecords counts the records of a batch by their lengths. It is not whole
// when they are not what is there.
func countRecords(batch []byte) (n int, whole bool) {
	for len(batch) > 0 {
		size, head := binary.Varint(batch)
		if head <= 0 || size < 0 || size > int64(len(batch)-head) {
			return n, false
		}
		batch = batch[head+int(size):]
		n++
	}
	return n, true
}

// skip goes on behind a batch that cannot be unpacked within the bounds, and
// returns a record in place of it: at the batch's last offset, without a key,
// and with a value that no decoder takes. So a reader counts it and passes
// over it like any other record that cannot be read, and comes to the end of the
// log.
func skip(client *kgo.Client, large *kgo.ErrDecompressTooLarge) *Record {
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		large.Topic: {large.Partition: {Epoch: large.Epoch, Offset: large.NextOffset}},
	})
	return &Record{
		Topic: large.Topic, Partition: large.Partition, Offset: large.NextOffset - 1,
		Value: fmt.Appendf(nil, "%s%d to %d of %s/%d unpacks to more than %d bytes or %d records, or cannot be unpacked; it was skipped", skippedBatch,
			large.Offset, large.NextOffset-1, large.Topic, large.Partition, maxUnpacked, maxBatchRecords),
	}
}

// skippedBatch begins the value of a record in place of a skipped batch.
const skippedBatch = "batch of offsets "

// readable lists the records of fetches, with one for each batch that was skipped.
func readable(client *kgo.Client, fetches kgo.Fetches) ([]*Record, error) {
	unpackerOf(client).taken()
	records := fetches.Records()
	for _, e := range fetches.Errors() {
		var large *kgo.ErrDecompressTooLarge
		switch {
		case errors.As(e.Err, &large):
			records = append(records, skip(client, large))
		case errors.Is(e.Err, errLater): // it comes with the next fetch
		default:
			return nil, e.Err
		}
	}
	return records, nil
}
