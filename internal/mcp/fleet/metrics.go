package fleet

import "time"

// Metrics is told of every call and probe. Functions that are nil are not called;
// they must be quick and safe for concurrent use. Subsystems and tools that were
// approved are bounded, so their names may be labels.
type Metrics struct {
	// CallEnded: outcome is ok, tool_error, or the code of a failure in lower case.
	CallEnded func(subsystem, tool, outcome string, d time.Duration)
	InFlight  func(subsystem, tool string, by int) // +1 and -1
	// Unknown: nobody knows whether the call took effect.
	Unknown    func(subsystem, tool string)
	FailedOver func(subsystem, tool string) // from there to another server
	Probed     func(subsystem string, ok bool, d time.Duration)
	Health     func(subsystem, health string) // what it is now; "" when it is gone
}

func (m Metrics) withDefaults() Metrics {
	if m.CallEnded == nil {
		m.CallEnded = func(string, string, string, time.Duration) {}
	}
	if m.InFlight == nil {
		m.InFlight = func(string, string, int) {}
	}
	if m.Unknown == nil {
		m.Unknown = func(string, string) {}
	}
	if m.FailedOver == nil {
		m.FailedOver = func(string, string) {}
	}
	if m.Probed == nil {
		m.Probed = func(string, bool, time.Duration) {}
	}
	if m.Health == nil {
		m.Health = func(string, string) {}
	}
	return m
}
