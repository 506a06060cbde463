package rig

import (
	"math/rand/v2"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// IsCompleted says by its headers alone that a record is the event of a workflow
// that completed.
func IsCompleted(r *kafka.Record) bool {
	for _, h := range r.Headers {
		if h.Key == "ce_type" {
			return string(h.Value) == string(events.EventWorkflowCompleted)
		}
	}
	return false
}

// RandomID is a UUID of version 4.
func RandomID() (id events.UUID) {
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}
