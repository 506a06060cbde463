package avro

import (
	"encoding/binary"

	"github.com/leat-io/leat/pkg/events"
)

// StateOf is the workflow state of a snapshot, "" for what is no snapshot of the
// current schema or of one like it. It reads no further than that field, for callers that read
// many snapshots and want few: what it says holds once [DecodeState] has read the
// whole.
func StateOf(single []byte) events.WorkflowState {
	w, body, err := loaded().split(single)
	if err != nil || w == nil || w.record != "snapshot" {
		return ""
	}
	p := peek{rest: body}
	p.skip() // workflow_type
	p.skip() // instance_id
	if p.long() == 1 {
		p.skip() // key
	}
	p.long() // version
	p.long() // sequence_number
	return workflowStates.byText[string(p.bytes())]
}

// peek reads the beginning of a body. Behind its end everything is zero.
type peek struct{ rest []byte }

func (p *peek) long() int64 {
	v, n := binary.Varint(p.rest)
	p.rest = p.rest[max(n, 0):]
	return v
}

func (p *peek) bytes() []byte {
	n := p.long()
	if n < 0 || n > int64(len(p.rest)) {
		p.rest = nil
		return nil
	}
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}

func (p *peek) skip() { p.bytes() }
