package avro

import "github.com/leat-io/leat/pkg/events"

// The fields of every record, once, in the order of its schema. Names and order
// are compared with schemas/*.avsc by the tests.

func command(c *codec, m *events.Command) {
	c.optUUID("command_id", &m.CommandID)
	enum(c, "command", &m.Command, &commandTypes)
	c.str("type", &m.WorkflowType)
	c.optUUID("instance_id", &m.InstanceID)
	c.optStr("key", &m.Key)
	c.int("version", &m.Version)
	c.optStr("event", &m.Event)
	c.payload("payload", &m.Payload)
	if c.some("result", m.Result != nil) {
		if !c.encode {
			m.Result = new(events.TaskResult)
		}
		taskResult(c, m.Result)
	}
	c.optStr("reason", &m.Reason)
	c.boolean("skip", &m.Skip)
	c.optStr("idempotency_key", &m.IdempotencyKey)
	c.optUUID("correlation_id", &m.CorrelationID)
	c.optUUID("causation_id", &m.CausationID)
	c.uuids("correlation_chain", &m.CorrelationChain)
	optParent(c, &m.Parent)
	c.optLong("expected_sequence", &m.ExpectedSequence)
	optEnum(c, "priority", &m.Priority, &priorities)
	c.optTime("timestamp", &m.Timestamp)
	c.optStr("source", &m.Source)
	c.values("metadata", &m.Metadata)
}

func optParent(c *codec, p **events.Parent) {
	if !c.some("parent", *p != nil) {
		return
	}
	if !c.encode {
		*p = new(events.Parent)
	}
	c.enter("parent")
	c.str("workflow_type", &(*p).WorkflowType)
	c.uuid("instance_id", &(*p).InstanceID)
	c.uuid("task_id", &(*p).TaskID)
	c.int("attempt", &(*p).Attempt)
	c.int("generation", &(*p).Generation)
	c.optStr("token", &(*p).Token)
	c.optUUID("root", &(*p).Root)
	c.leave()
}

func optChild(c *codec, p **events.Child) {
	if !c.some("child", *p != nil) {
		return
	}
	if !c.encode {
		*p = new(events.Child)
	}
	c.enter("child")
	c.str("workflow_type", &(*p).WorkflowType)
	c.uuid("instance_id", &(*p).InstanceID)
	enum(c, "parent_close", &(*p).ParentClose, &parentCloses)
	c.leave()
}

func taskResult(c *codec, r *events.TaskResult) {
	c.enter("result")
	c.uuid("task_id", &r.TaskID)
	c.int("attempt", &r.Attempt)
	optEnum(c, "state", &r.State, &taskStates)
	optError(c, "error", &r.Error)
	c.optStr("node_id", &r.NodeID)
	c.millis("execution_time_ms", &r.ExecutionTime)
	c.optStr("token", &r.Token)
	c.millis("retry_after_ms", &r.RetryAfter)
	c.payload("heartbeat_details", &r.HeartbeatDetails)
	c.boolean("repeatable", &r.Repeatable)
	c.long("generation", &r.Generation)
	c.boolean("handed_back", &r.HandedBack)
	c.millis("resume_after_ms", &r.ResumeAfter)
	list(c, "questions", &r.Questions, question)
	c.leave()
}

func question(c *codec, q *events.Question) {
	c.str("id", &q.ID)
	c.str("message", &q.Message)
	c.payload("form", &q.Form)
	c.optStr("assignee", &q.Assignee)
}

func answer(c *codec, a *events.Answer) {
	c.str("id", &a.ID)
	c.payload("result", &a.Result)
	optError(c, "error", &a.Error)
	c.optStr("by", &a.By)
}

func cancellation(c *codec, m *events.Cancellation) {
	c.uuid("task_id", &m.TaskID)
	c.int("attempt", &m.Attempt)
	c.str("workflow_type", &m.WorkflowType)
	c.uuid("instance_id", &m.InstanceID)
	c.optStr("token_hash", &m.TokenHash)
	c.optStr("node_id", &m.NodeID)
	c.str("code", &m.Code)
	c.time("timestamp", &m.Timestamp)
}

func optError(c *codec, field string, p **events.Error) {
	if !c.some(field, *p != nil) {
		return
	}
	if !c.encode {
		*p = new(events.Error)
	}
	c.enter(field)
	c.str("code", &(*p).Code)
	c.str("message", &(*p).Message)
	c.boolean("retryable", &(*p).Retryable)
	c.leave()
}

func event(c *codec, e *events.Event) {
	c.uuid("event_id", &e.EventID)
	enum(c, "event_type", &e.EventType, &eventTypes)
	c.str("workflow_type", &e.WorkflowType)
	c.uuid("instance_id", &e.InstanceID)
	c.uuid("correlation_id", &e.CorrelationID)
	c.long("sequence_number", &e.SequenceNumber)
	c.time("timestamp", &e.Timestamp)
	c.str("source", &e.Source)
	c.str("idempotency_key", &e.IdempotencyKey)
	c.values("data", &e.Data)
	c.values("metadata", &e.Metadata)
	c.payload("payload", &e.Payload)
	c.optUUID("causation_id", &e.CausationID)
	c.uuids("correlation_chain", &e.CorrelationChain)
}

func task(c *codec, t *events.Task) {
	c.uuid("task_id", &t.TaskID)
	c.str("task_name", &t.TaskName)
	c.str("queue", &t.Queue)
	enum(c, "task_type", &t.TaskType, &taskTypes)
	enum(c, "node_type", &t.NodeType, &nodeTypes)
	c.str("workflow_type", &t.WorkflowType)
	c.uuid("instance_id", &t.InstanceID)
	c.optStr("instance_key", &t.InstanceKey)
	c.str("invocation", &t.Invocation)
	c.int("attempt", &t.Attempt)
	c.str("idempotency_key", &t.IdempotencyKey)
	c.payload("input", &t.Input)
	enum(c, "priority", &t.Priority, &priorities)
	enum(c, "execution_semantics", &t.Semantics, &semantics)
	enum(c, "delivery_guarantee", &t.Delivery, &deliveries)
	c.strs("requires", &t.Requires)
	c.enter("timeouts")
	c.millis("schedule_to_start_ms", &t.Timeouts.ScheduleToStart)
	c.millis("start_to_close_ms", &t.Timeouts.StartToClose)
	c.millis("schedule_to_close_ms", &t.Timeouts.ScheduleToClose)
	c.millis("heartbeat_ms", &t.Timeouts.Heartbeat)
	c.leave()
	c.time("scheduled_at", &t.ScheduledAt)
	c.uuid("correlation_id", &t.CorrelationID)
	c.uuid("causation_id", &t.CausationID)
	c.optStr("token", &t.Token)
	c.payload("heartbeat_details", &t.HeartbeatDetails)
	c.payload("continuation", &t.Continuation)
	list(c, "answers", &t.Answers, answer)
}

func outcome(c *codec, o *events.Outcome) {
	c.uuid("command_id", &o.CommandID)
	c.str("workflow_type", &o.WorkflowType)
	c.optUUID("instance_id", &o.InstanceID)
	enum(c, "status", &o.Status, &outcomeStatuses)
	optError(c, "error", &o.Error)
	c.optUUID("event_id", &o.EventID)
	c.long("sequence_number", &o.SequenceNumber)
	c.time("timestamp", &o.Timestamp)
	optEnum(c, "instance_state", &o.InstanceState, &workflowStates)
	c.long("instance_sequence", &o.InstanceSequence)
	c.payload("instance_output", &o.InstanceOutput)
	optError(c, "instance_error", &o.InstanceError)
	c.optBytes("snapshot", &o.Snapshot)
}

func snapshot(c *codec, s *events.Snapshot) {
	c.str("workflow_type", &s.WorkflowType)
	c.uuid("instance_id", &s.InstanceID)
	c.optStr("key", &s.Key)
	c.int("version", &s.Version)
	c.long("sequence_number", &s.SequenceNumber)
	enum(c, "state", &s.State, &workflowStates)
	c.uuid("correlation_id", &s.CorrelationID)
	optParent(c, &s.Parent)
	c.time("created_at", &s.CreatedAt)
	c.time("updated_at", &s.UpdatedAt)
	c.optTime("finished_at", &s.FinishedAt)
	c.payload("output", &s.Output)
	optError(c, "error", &s.Error)
	list(c, "seen", &s.Seen, seenCommand)
	enum(c, "isolation_level", &s.Isolation, &isolationLevels)
	dict(c, "secrets", &s.Secrets, strValue)
	dict(c, "resource_limits", &s.Limits, longValue)
	c.strs("search", &s.Search)
	c.long("changed_at", &s.ChangedAt)
	c.optTime("forgotten_at", &s.ForgottenAt)
	c.long("first_offset", &s.FirstOffset)
	c.long("newest_offset", &s.NewestOffset)
	optRecord(c, "paused", &s.Paused, pause)
	list(c, "held", &s.Held, heldInput)
	optRecord(c, "incident", &s.Incident, incident)
	chart(c, &s.Chart)
}

func pause(c *codec, p *events.Pause) {
	enum(c, "from", &p.From, &workflowStates)
	c.time("at", &p.At)
	c.optStr("reason", &p.Reason)
	c.optStr("by", &p.By)
}

func heldInput(c *codec, h *events.HeldInput) {
	optRecord(c, "command", &h.Command, command)
	c.long("timer_id", &h.TimerID)
	c.time("at", &h.At)
}

func incident(c *codec, i *events.Incident) {
	c.str("code", &i.Code)
	c.str("message", &i.Message)
	c.str("file", &i.File)
	c.int("line", &i.Line)
	c.int("column", &i.Column)
	c.time("at", &i.At)
	c.optUUID("task_id", &i.TaskID)
	optRecord(c, "input", &i.Input, heldInput)
}

// optRecord is a record that may be null.
func optRecord[T any](c *codec, field string, p **T, record func(*codec, *T)) {
	if !c.some(field, *p != nil) {
		return
	}
	if !c.encode {
		*p = new(T)
	}
	c.enter(field)
	record(c, *p)
	c.leave()
}

func seenCommand(c *codec, s *events.SeenCommand) {
	c.uuid("name", &s.Name)
	c.long("sequence", &s.Sequence)
}

func chart(c *codec, s *events.Chart) {
	c.enter("chart")
	c.strs("active", &s.Active)
	dict(c, "history", &s.History, strsValue)
	c.values("data", &s.Data)
	dict(c, "payloads", &s.Payloads, jsonValue)
	c.payload("input", &s.Input)
	list(c, "tasks", &s.Tasks, taskStatus)
	list(c, "timers", &s.Timers, timer)
	c.long("counter", &s.Counter)
	optEnum(c, "outcome", &s.Outcome, &workflowStates)
	optError(c, "outcome_error", &s.OutcomeError)
	c.strs("before", &s.Before)
	c.leave()
}

func taskStatus(c *codec, t *events.TaskStatus) {
	c.uuid("task_id", &t.TaskID)
	c.str("state_id", &t.StateID)
	c.str("invocation", &t.Invocation)
	c.str("name", &t.Name)
	enum(c, "state", &t.State, &taskStates)
	c.int("attempt", &t.Attempt)
	c.optStr("node_id", &t.NodeID)
	c.payload("input", &t.Input)
	c.payload("result", &t.Result)
	optError(c, "error", &t.Error)
	c.int("spent", &t.Spent)
	c.optTime("scheduled_at", &t.ScheduledAt)
	c.optTime("started_at", &t.StartedAt)
	c.uuids("cause", &t.Cause)
	optChild(c, &t.Child)
	c.optStr("token_hash", &t.TokenHash)
	c.payload("heartbeat_details", &t.HeartbeatDetails)
	c.boolean("repeatable", &t.Repeatable)
	c.long("generation", &t.Generation)
	c.payload("continuation", &t.Continuation)
	c.optTime("resume_at", &t.ResumeAt)
	c.optUUID("asked_by", &t.AskedBy)
}

func timer(c *codec, t *events.Timer) {
	c.long("id", &t.ID)
	enum(c, "kind", &t.Kind, &timerKinds)
	c.time("due", &t.Due)
	c.str("ref", &t.Ref)
	c.optUUID("task_id", &t.TaskID)
	c.optStr("event", &t.Event)
	c.payload("data", &t.Data)
	c.uuids("cause", &t.Cause)
}

func checkpoint(c *codec, p *events.Checkpoint) {
	c.int("partition", &p.Partition)
	c.long("next_offset", &p.NextOffset)
	c.str("source", &p.Source)
	c.time("timestamp", &p.Timestamp)
}

func definition(c *codec, d *events.DefinitionRecord) {
	c.str("workflow_type", &d.WorkflowType)
	c.int("version", &d.Version)
	c.str("source", &d.Source)
	c.int("partitions", &d.Partitions)
	c.time("deployed_at", &d.DeployedAt)
	c.optStr("deployed_by", &d.DeployedBy)
}

func schedule(c *codec, s *events.ScheduleRecord) {
	c.str("schedule_id", &s.ScheduleID)
	c.str("workflow_type", &s.WorkflowType)
	c.int("version", &s.Version)
	c.strs("cron", &s.Cron)
	c.millis("every_ms", &s.Every)
	c.millis("offset_ms", &s.Offset)
	c.optStr("time_zone", &s.TimeZone)
	c.millis("jitter_ms", &s.Jitter)
	c.optTime("start_at", &s.StartAt)
	c.optTime("end_at", &s.EndAt)
	enum(c, "overlap", &s.Overlap, &overlapPolicies)
	c.millis("catchup_ms", &s.Catchup)
	c.boolean("paused", &s.Paused)
	c.optStr("note", &s.Note)
	c.payload("input", &s.Input)
	c.optStr("key", &s.Key)
	c.time("since", &s.Since)
	c.time("created_at", &s.CreatedAt)
	c.time("updated_at", &s.UpdatedAt)
	c.optStr("updated_by", &s.UpdatedBy)
}

func progress(c *codec, p *events.ScheduleProgress) {
	c.str("schedule_id", &p.ScheduleID)
	c.optTime("cursor", &p.Cursor)
	list(c, "running", &p.Running, scheduledRun)
	list(c, "buffered", &p.Buffered, scheduledDue)
	list(c, "backfills", &p.Backfills, scheduledBackfill)
	list(c, "recent", &p.Recent, scheduledStart)
	c.uuids("seen", &p.Seen)
	c.long("started", &p.Started)
	c.long("skipped", &p.Skipped)
	c.long("missed", &p.Missed)
	c.long("refused", &p.Refused)
	optError(c, "error", &p.Error)
	c.time("updated_at", &p.UpdatedAt)
}

func scheduledRun(c *codec, r *events.ScheduledRun) {
	c.time("due", &r.Due)
	c.time("started_at", &r.StartedAt)
	c.uuid("instance_id", &r.InstanceID)
	optEnum(c, "asked", &r.Asked, &overlapPolicies)
}

func scheduledStart(c *codec, r *events.ScheduledStart) {
	c.time("due", &r.Due)
	c.time("started_at", &r.StartedAt)
	c.uuid("instance_id", &r.InstanceID)
}

func scheduledDue(c *codec, d *events.ScheduledDue) {
	c.time("due", &d.Due)
	enum(c, "overlap", &d.Overlap, &overlapPolicies)
	c.boolean("manual", &d.Manual)
}

func scheduledBackfill(c *codec, b *events.ScheduledBackfill) {
	c.time("after", &b.After)
	c.time("until", &b.Until)
	enum(c, "overlap", &b.Overlap, &overlapPolicies)
}
