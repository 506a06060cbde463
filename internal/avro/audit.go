package avro

import "github.com/leat-io/leat/pkg/events"

// EncodeAudit writes an audit event.
func EncodeAudit(a *events.AuditEvent) ([]byte, error) { return encodeValid("audit", auditEvent, a) }

// AppendAudit writes an audit event behind dst.
func AppendAudit(dst []byte, a *events.AuditEvent) ([]byte, error) {
	return appendValid(dst, "audit", auditEvent, a)
}

// DecodeAudit reads an audit event.
func DecodeAudit(single []byte) (events.AuditEvent, error) {
	return decodeValid(single, "audit", auditEvent)
}

func auditEvent(c *codec, a *events.AuditEvent) {
	c.uuid("event_id", &a.EventID)
	c.str("event_type", &a.EventType)
	c.str("actor", &a.Actor)
	c.str("action", &a.Action)
	c.str("resource", &a.Resource)
	c.str("outcome", &a.Outcome)
	c.time("timestamp", &a.Timestamp)
	c.values("metadata", &a.Metadata)
}
