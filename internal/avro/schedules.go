package avro

import "github.com/leat-io/leat/pkg/events"

// EncodeSchedule writes a schedule.
func EncodeSchedule(s *events.ScheduleRecord) ([]byte, error) {
	return encodeValid("schedule", schedule, s)
}

// AppendSchedule writes a schedule behind dst.
func AppendSchedule(dst []byte, s *events.ScheduleRecord) ([]byte, error) {
	return appendValid(dst, "schedule", schedule, s)
}

// DecodeSchedule reads a schedule.
func DecodeSchedule(single []byte) (events.ScheduleRecord, error) {
	return decodeValid(single, "schedule", schedule)
}

// EncodeProgress writes how far a schedule is.
func EncodeProgress(p *events.ScheduleProgress) ([]byte, error) {
	return encodeValid("progress", progress, p)
}

// AppendProgress writes how far a schedule is behind dst.
func AppendProgress(dst []byte, p *events.ScheduleProgress) ([]byte, error) {
	return appendValid(dst, "progress", progress, p)
}

// DecodeProgress reads how far a schedule is.
func DecodeProgress(single []byte) (events.ScheduleProgress, error) {
	return decodeValid(single, "progress", progress)
}
