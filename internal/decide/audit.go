package decide

import (
	"github.com/leat-io/leat/pkg/events"
)

// audit is what the audit keeps of a decision: one entry for a command that it
// keeps, whatever came of it.
func audit(in Input, before *events.Snapshot, d Decision) []events.AuditEvent {
	c := in.Command
	if c == nil || goesOn(c) || !kindOf(c.Command).audited {
		return nil
	}
	a := events.AuditEvent{
		EventType: events.AuditCommand, Actor: c.Source, Action: string(c.Command),
		Resource: c.WorkflowType + "/" + c.InstanceID.String(), Outcome: events.AuditAccepted, Timestamp: in.Now,
		Metadata: fields{
			events.AuditCommandID: events.String(c.CommandID.String()), events.AuditSequence: events.Long(sequenceOf(before)),
		},
	}
	if len(d.Events) > 0 {
		a.Metadata[events.AuditSequence] = events.Long(d.Events[0].SequenceNumber)
	}
	if c.Reason != "" {
		a.Metadata[events.AuditReason] = events.String(c.Reason)
	}
	if before != nil {
		a.Metadata[events.AuditFrom] = events.String(string(before.State))
	}
	if d.Next != nil {
		a.Metadata[events.AuditTo] = events.String(string(d.Next.State))
	}
	if len(d.Events) == 0 && d.Outcome == nil {
		a.Outcome = string(events.OutcomeIgnored) // such as of a parent that is no longer the instance's
	}
	if o := d.Outcome; o != nil {
		a.Outcome = string(o.Status)
		if o.Error != nil {
			a.Metadata[events.AuditCode], a.Metadata[events.AuditMessage] = events.String(o.Error.Code), events.String(o.Error.Message)
		}
	}
	a.EventID = events.DeriveUUID(c.CommandID, "audit/"+a.Outcome)
	return []events.AuditEvent{a}
}
