package kafka

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/leat-io/leat/pkg/events"
)

// Headers of a dead letter: why it could not be read, and where it was.
const (
	DeadLetterReason    = "leat-dlq-reason"
	DeadLetterTopic     = "leat-dlq-topic"
	DeadLetterPartition = "leat-dlq-partition"
	DeadLetterOffset    = "leat-dlq-offset"
	// DeadLetterPart is there when a value is too large for one record: "2/3" is
	// the second of three, which follow one another in one partition.
	DeadLetterPart = "leat-dlq-part"
	// DeadLetterCut is there when value, key or headers were too large to be kept.
	DeadLetterCut = "leat-dlq-cut"
)

// A dead letter must be such that every broker takes it: one that is refused
// would stop the partition that it should save. A record can be larger inside
// than what the broker that took it compressed allows.
const (
	deadValue  = 700 << 10 // bytes of a value in one record
	deadWhole  = 4 << 20   // bytes of a value that is kept as it was
	deadBegin  = 64 << 10  // bytes that are kept of a larger one
	deadRest   = 64 << 10  // bytes of key and headers
	deadReason = 1024
	deadKey    = 1024 // of a key that is cut
)

// NewDeadLetters is r for a dead-letter topic: key, value and headers as they
// were, and headers that say why it is there and where it came from. It is one
// record, or several when the value does not fit; write all or none of them. Of
// a value over 4 MiB only the beginning is kept: the whole is where the headers
// say, and a small batch can unpack to a thousand times its size.
func NewDeadLetters(topic string, r *Record, reason error) []*Record {
	key, headers := r.Key, r.Headers
	why := reason.Error()
	about := []Header{
		{Key: DeadLetterReason, Value: []byte(events.Cut(why, deadReason))},
		{Key: DeadLetterTopic, Value: []byte(r.Topic)},
		{Key: DeadLetterPartition, Value: strconv.AppendInt(nil, int64(r.Partition), 10)},
		{Key: DeadLetterOffset, Value: strconv.AppendInt(nil, r.Offset, 10)},
	}
	if size := RestSize(r); size > deadRest {
		key, headers = key[:min(len(key), deadKey)], nil
		about = append(about, Header{Key: DeadLetterCut, Value: fmt.Appendf(nil, "key and headers were %d bytes, at most %d are kept", size, deadRest)})
	}
	value := r.Value
	if len(value) > deadWhole {
		value = value[:deadBegin]
		about = append(about, Header{Key: DeadLetterCut, Value: fmt.Appendf(nil, "the value was %d bytes, the first %d are kept", len(r.Value), deadBegin)})
	}
	about = slices.Concat(headers, about)
	if len(value) <= deadValue {
		dead := NewRecord(topic, key, value)
		dead.Headers = about
		return []*Record{dead}
	}
	parts := make([]*Record, (len(value)+deadValue-1)/deadValue)
	for i := range parts {
		parts[i] = NewRecord(topic, key, value[i*deadValue:min((i+1)*deadValue, len(value))])
		parts[i].Headers = slices.Concat(about, []Header{{Key: DeadLetterPart, Value: fmt.Appendf(nil, "%d/%d", i+1, len(parts))}})
	}
	return parts
}

// RestSize is how many bytes of a record are not its value.
func RestSize(r *Record) int {
	size := len(r.Key)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}
