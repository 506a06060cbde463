package events

import (
	"encoding/json"
	"strings"
	"time"
)

// OverlapPolicy says what happens to a scheduled run while an instance that the
// schedule started has not ended.
type OverlapPolicy string

// The six overlap policies.
const (
	OverlapSkip           OverlapPolicy = "skip"            // it is left out
	OverlapBufferOne      OverlapPolicy = "buffer_one"      // it waits; a second one is left out
	OverlapBufferAll      OverlapPolicy = "buffer_all"      // it waits, behind the others
	OverlapCancelOther    OverlapPolicy = "cancel_other"    // it waits until the other has ended, which is cancelled
	OverlapTerminateOther OverlapPolicy = "terminate_other" // the same, and the other is terminated
	OverlapAllowAll       OverlapPolicy = "allow_all"       // both run
)

// OverlapPolicies lists the closed set.
func OverlapPolicies() []OverlapPolicy {
	return []OverlapPolicy{
		OverlapSkip, OverlapBufferOne, OverlapBufferAll, OverlapCancelOther, OverlapTerminateOther, OverlapAllowAll,
	}
}

// ScheduleRecord is a schedule, on the compacted topic workflow.schedules under
// its id: which instances it starts, and when. A tombstone deletes it.
// The router that owns the schedule's partition of the type drives it.
type ScheduleRecord struct {
	ScheduleID   string `json:"schedule_id"`
	WorkflowType string `json:"workflow_type"`
	Version      int32  `json:"version,omitempty"` // of the definition; 0 for the newest deployed

	Cron     []string      `json:"cron,omitempty"` // five fields each; each entry schedules runs
	Every    time.Duration `json:"every,omitempty"`
	Offset   time.Duration `json:"offset,omitempty"`    // of Every, from 1970-01-01T00:00:00Z
	TimeZone string        `json:"time_zone,omitempty"` // of Cron, by its IANA name; "" is UTC
	Jitter   time.Duration `json:"jitter,omitempty"`    // a run fires up to this much later, always by the same amount
	StartAt  time.Time     `json:"start_at,omitzero"`   // no run before
	EndAt    time.Time     `json:"end_at,omitzero"`     // no run after

	Overlap OverlapPolicy   `json:"overlap"`
	Catchup time.Duration   `json:"catchup,omitempty"` // a run that could not fire for longer is missed; 0 is DefaultCatchup
	Paused  bool            `json:"paused,omitempty"`
	Note    string          `json:"note,omitempty"` // for people
	Input   json.RawMessage `json:"input,omitempty"`
	Key     string          `json:"key,omitempty"` // template of the business keys; "" is made of schedule and scheduled time

	// Since is the instant after which runs are scheduled: when the schedule was
	// created, when its times changed, when it was resumed.
	Since     time.Time `json:"since"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by,omitempty"`
}

// Bounds of a schedule.
const (
	MaxScheduleIDLength = 100
	MaxCronEntries      = 50
	MinScheduleEvery    = time.Second
	// DefaultCatchup is longer than any outage.
	DefaultCatchup = 365 * 24 * time.Hour
	// MaxScheduleBuffer is how many scheduled runs may wait for an instance to end.
	MaxScheduleBuffer = 1000
	// MaxScheduleRunning is how many of its instances a schedule watches: with
	// allow_all there may be more, of which the oldest are watched no longer.
	MaxScheduleRunning = 1000
	// MaxScheduleRecent is how many of its newest starts a schedule remembers.
	MaxScheduleRecent = 10
)

// ScheduleInstanceID is the id under which commands address a schedule: signals
// `trigger` and `backfill` to it make it start instances. It also says which
// partition of the workflow type drives the schedule.
func ScheduleInstanceID(scheduleID string) UUID { return DeriveUUID(Namespace, "schedule/"+scheduleID) }

// The signals that a schedule understands.
const (
	ScheduleTrigger  = "trigger"  // start one instance now; payload ScheduleRequest
	ScheduleBackfill = "backfill" // start those of a past range; payload ScheduleRequest
)

// ScheduleRequest is the payload of the two signals to a schedule.
type ScheduleRequest struct {
	ScheduleID string        `json:"schedule_id"`
	From       time.Time     `json:"from,omitzero"` // backfill: no scheduled time before
	To         time.Time     `json:"to,omitzero"`   // backfill: none after
	Overlap    OverlapPolicy `json:"overlap,omitempty"`
}

// CheckScheduleID holds `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`.
func CheckScheduleID(field, id string) error {
	if id == "" {
		return fieldErrorf(field, "is missing")
	}
	ok := len(id) <= MaxScheduleIDLength && !strings.ContainsAny(id[:1], "._-")
	for i := 0; ok && i < len(id); i++ {
		c := id[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
	}
	if !ok {
		return fieldErrorf(field, "%q does not match ^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$", clip(id))
	}
	return nil
}

// Validate checks every field but the language of Cron and the name of TimeZone.
func (s *ScheduleRecord) Validate() error {
	return firstError(
		CheckScheduleID("schedule_id", s.ScheduleID),
		CheckWorkflowType("workflow_type", s.WorkflowType),
		s.checkTimes(),
		checkEnum("overlap", s.Overlap, OverlapPolicies()),
		s.checkDurations(),
		checkLength("note", s.Note, MaxMessageLength),
		checkPayload("input", s.Input),
		s.checkKey(),
		checkTime("since", s.Since),
		checkTime("created_at", s.CreatedAt),
		checkTime("updated_at", s.UpdatedAt),
	)
}

// checkKey refuses a template from which no key can be made.
func (s *ScheduleRecord) checkKey() error {
	if s.Key == "" {
		return nil
	}
	return firstError(
		checkLength("key", s.Key, MaxKeyLength-MaxScheduleIDLength),
		CheckKey("key", s.Key),
		CheckKey("key", strings.ReplaceAll(s.Key, "{schedule}", s.ScheduleID)),
	)
}

func (s *ScheduleRecord) checkTimes() error {
	switch {
	case s.Version < 0:
		return fieldErrorf("version", "%d is below 0", s.Version)
	case len(s.Cron) == 0 && s.Every == 0:
		return fieldErrorf("cron", "is missing, and so is every: one of them must say when")
	case len(s.Cron) > MaxCronEntries:
		return fieldErrorf("cron", "has %d entries, at most %d", len(s.Cron), MaxCronEntries)
	case s.Every != 0 && s.Every < MinScheduleEvery:
		return fieldErrorf("every", "is %s, at least %s", s.Every, MinScheduleEvery)
	case !s.StartAt.IsZero() && !s.EndAt.IsZero() && s.EndAt.Before(s.StartAt):
		return fieldErrorf("end_at", "is before start_at")
	}
	for _, c := range s.Cron {
		if err := checkName("cron", c); err != nil {
			return err
		}
	}
	return checkLength("time_zone", s.TimeZone, MaxNameLength)
}

func (s *ScheduleRecord) checkDurations() error {
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"offset", s.Offset}, {"jitter", s.Jitter}, {"catchup", s.Catchup}} {
		if d.value < 0 {
			return fieldErrorf(d.field, "%s is below 0", d.value)
		}
	}
	return nil
}

// ScheduleProgressPrefix precedes the schedule's id in the key of a
// [ScheduleProgress] in a state topic.
const ScheduleProgressPrefix = "!schedule/"

// Internal reports whether the key of a record of a state topic is not that of
// an instance: a checkpoint, or the progress of a schedule. Who reads instances
// leaves those out.
func Internal(key string) bool { return strings.HasPrefix(key, "!") }

// ScheduleProgress is the progress of a schedule, on workflow.<type>.state. It is
// written in the transaction that starts the instances, so that each scheduled
// run is decided once.
type ScheduleProgress struct {
	ScheduleID string              `json:"schedule_id"`
	Cursor     time.Time           `json:"cursor,omitzero"`     // the newest scheduled time that is decided
	Running    []ScheduledRun      `json:"running,omitempty"`   // instances that have not ended, oldest first
	Buffered   []ScheduledDue      `json:"buffered,omitempty"`  // runs that wait for them
	Backfills  []ScheduledBackfill `json:"backfills,omitempty"` // ranges that are not done
	Recent     []ScheduledStart    `json:"recent,omitempty"`    // the newest starts, newest last
	Seen       []UUID              `json:"seen,omitempty"`      // commands that were decided, newest last

	Started   int64     `json:"started"`         // instances
	Skipped   int64     `json:"skipped"`         // runs left out by the overlap policy
	Missed    int64     `json:"missed"`          // runs older than the catch-up window
	Refused   int64     `json:"refused"`         // runs whose start was rejected
	Error     *Error    `json:"error,omitempty"` // of the newest start, when it was rejected
	UpdatedAt time.Time `json:"updated_at"`
}

// ScheduledStart is a start that a schedule remembers.
type ScheduledStart struct {
	Due        time.Time `json:"due"`
	StartedAt  time.Time `json:"started_at"`
	InstanceID UUID      `json:"instance_id"`
}

// ScheduledRun is an instance that a schedule started and that has not ended.
type ScheduledRun struct {
	Due        time.Time `json:"due"`
	StartedAt  time.Time `json:"started_at"`
	InstanceID UUID      `json:"instance_id"`
	// Asked is the policy by which it was cancelled or terminated, "" while it was
	// not.
	Asked OverlapPolicy `json:"asked,omitempty"`
}

// ScheduledDue is a scheduled run that waits.
type ScheduledDue struct {
	Due     time.Time     `json:"due"`
	Overlap OverlapPolicy `json:"overlap"`
	Manual  bool          `json:"manual,omitempty"` // requested by a person: a pause does not hold it
}

// ScheduledBackfill is a past range whose runs were requested.
type ScheduledBackfill struct {
	After   time.Time     `json:"after"` // what is left: scheduled times after this,
	Until   time.Time     `json:"until"` // and not after this
	Overlap OverlapPolicy `json:"overlap"`
}

// Validate checks the fields that are not checked in another record.
func (p *ScheduleProgress) Validate() error {
	return firstError(CheckScheduleID("schedule_id", p.ScheduleID), checkTime("updated_at", p.UpdatedAt))
}
