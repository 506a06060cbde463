package avro

import (
	"bytes"
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// EncodeCommand writes a command. Ids that the router fills in
// ([events.Command.Resolve]) may be missing; everything else must validate.
func EncodeCommand(m *events.Command) ([]byte, error) {
	if err := checkCommand(*m); err != nil {
		return nil, err
	}
	return encodeRecord("command", command, m)
}

// AppendCommand writes a command behind dst.
func AppendCommand(dst []byte, m *events.Command) ([]byte, error) {
	if err := checkCommand(*m); err != nil {
		return dst, err
	}
	return appendRecord(dst, "command", command, m)
}

// checkCommand validates a copy in which any id stands for what is missing.
func checkCommand(m events.Command) error {
	if m.InstanceID.IsNil() && m.Key != "" {
		m.InstanceID = events.Namespace // spares the derivation; its value does not matter here
	}
	m.Resolve(events.Namespace)
	if err := m.Validate(); err != nil {
		return fmt.Errorf("encode command: %w", err)
	}
	return nil
}

// DecodeCommand reads a command. It checks what is there (UUIDs, closed sets,
// text) and not what is missing: call Resolve and Validate before deciding it.
func DecodeCommand(single []byte) (events.Command, error) {
	m, err := decodeRecord(single, "command", command)
	if err != nil {
		return events.Command{}, err
	}
	return *m, nil
}

// ParseCommand reads the value of a record on a commands topic, which may be
// Avro or JSON. Like [DecodeCommand] it neither resolves nor validates.
func ParseCommand(value []byte) (events.Command, error) {
	if len(value) > MaxRecordLength {
		return events.Command{}, fmt.Errorf("decode command: %w: %d bytes, at most %d", ErrTooLarge, len(value), MaxRecordLength)
	}
	if bytes.HasPrefix(value, marker) {
		return DecodeCommand(value)
	}
	text := bytes.TrimLeft(value, " \t\r\n")
	if len(text) == 0 || text[0] != '{' {
		return events.Command{}, fmt.Errorf("decode command: %q… is neither Avro (C3 01 and a fingerprint) nor JSON: "+
			`a command looks like {"command":"start","type":"order","key":"order-42","input":{}}`, clip(value)[:min(len(value), 16)])
	}
	m, err := events.DecodeCommandJSON(text)
	if err != nil {
		return events.Command{}, fmt.Errorf("decode command: %w", err)
	}
	return m, nil
}
