package avro

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Header is one header of a Kafka record. It has the shape of kgo.RecordHeader,
// so that kgo.RecordHeader(h) is a conversion and not a copy of the content.
type Header struct {
	Key   string
	Value []byte
}

// ContentType is that of every Avro record.
const ContentType = "application/avro"

// dataSchema is the URI of the schema that events are written with.
var dataSchema = sync.OnceValue(func() string {
	return fmt.Sprintf("urn:avro:io.leat.v1.Event:%016x", loaded().current["event"].fingerprint)
})

// CloudEvents are the headers that make an event on Kafka a CloudEvent 1.0 in
// binary mode. Besides the attributes of the standard (source is the workflow,
// which with the id names the event whoever decided it; subject the instance)
// they carry the extensions correlationid, causationid, sequence (20 digits,
// so that text order is number order), partitionkey and workflowtype, on which
// a consumer can filter without decoding the value. All values share one
// allocation; they must not be changed.
func CloudEvents(e *events.Event) []Header {
	h := headers{buf: make([]byte, 0, 480), list: make([]Header, 0, 13)}
	h.text("ce_specversion", "1.0")
	h.uuid("ce_id", e.EventID)
	h.buf = append(h.buf, "/workflow/"...)
	h.text("ce_source", e.WorkflowType)
	h.text("ce_type", string(e.EventType))
	h.buf = e.Timestamp.UTC().AppendFormat(h.buf, time.RFC3339Nano)
	h.text("ce_time", "")
	h.uuid("ce_subject", e.InstanceID)
	instance := h.list[len(h.list)-1].Value
	h.text("ce_dataschema", dataSchema())
	h.text("content-type", ContentType)
	h.uuid("ce_correlationid", e.CorrelationID)
	if !e.CausationID.IsNil() {
		h.uuid("ce_causationid", e.CausationID)
	}
	h.buf = append(h.buf, "00000000000000000000"[decimals(e.SequenceNumber):]...)
	h.buf = strconv.AppendInt(h.buf, e.SequenceNumber, 10)
	h.text("ce_sequence", "")
	h.list = append(h.list, Header{Key: "ce_partitionkey", Value: instance})
	h.text("ce_workflowtype", e.WorkflowType)
	return h.list
}

// headers collects values in one buffer: a value is what was appended since the
// one before.
type headers struct {
	buf  []byte
	from int
	list []Header
}

// text ends the value with v and names it.
func (h *headers) text(key, v string) {
	h.buf = append(h.buf, v...)
	h.list = append(h.list, Header{Key: key, Value: h.buf[h.from:len(h.buf):len(h.buf)]})
	h.from = len(h.buf)
}

// decimals is how many digits n has; n is not negative.
func decimals(n int64) int {
	digits := 1
	for ; n >= 10; n /= 10 {
		digits++
	}
	return digits
}

func (h *headers) uuid(key string, u events.UUID) {
	h.buf = appendUUID(h.buf, u)
	h.text(key, "")
}
