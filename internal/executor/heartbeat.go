package executor

import (
	"encoding/json"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// soonest is the shortest time between two heartbeats of a task that its handler
// asks for: each is a decision of the router.
const soonest = time.Second

// tell keeps the newest details of a handler and asks for a heartbeat.
func (j *job) tell(details json.RawMessage) {
	e := j.in.e
	e.mu.Lock()
	j.details = details
	e.mu.Unlock()
	select {
	case j.news <- struct{}{}:
	default: // asked for already
	}
}

// detailsOf is the newest that j's handler has told, nil for nothing.
func (e *Executor) detailsOf(j *job) json.RawMessage {
	e.mu.Lock()
	defer e.mu.Unlock()
	return j.details
}

// heartbeat sends heartbeats until the handler has returned: regularly, and soon
// after the handler has new details.
func (j *job) heartbeat() {
	if j.lease != nil {
		j.relay()
		return
	}
	e := j.in.e
	every := e.heartbeatEvery(&j.task)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	news, quiet := j.news, time.NewTimer(0)
	defer quiet.Stop()
	fresh := false
	for {
		select {
		case <-j.over:
			return
		case <-e.report.life.Done():
			return
		case <-quiet.C:
			news = j.news
			continue
		case <-ticker.C:
		case <-news:
			fresh = true
		}
		if !fresh {
			fresh = j.hasNews()
		}
		if !j.beat(fresh) {
			return
		}
		fresh, news = false, nil
		quiet.Reset(min(soonest, every))
	}
}

// hasNews adds details that are new since the last heartbeat to a regular one.
func (j *job) hasNews() bool {
	select {
	case <-j.news:
		return true
	default:
		return false
	}
}

// beat writes one heartbeat, with the details if the router does not have them.
func (j *job) beat(fresh bool) bool {
	e := j.in.e
	c := e.report.command(&j.task, events.CommandHeartbeat)
	if fresh {
		c.Result.HeartbeatDetails = e.detailsOf(j)
	}
	record, err := e.report.record(c)
	return err == nil && e.report.write(&j.task, record, j.over) == nil
}

// heartbeatEvery is a third of what the router waits for.
func (e *Executor) heartbeatEvery(t *events.Task) time.Duration {
	every := heartbeatTimeout(t) / 3
	if e.config.HeartbeatEvery > 0 {
		every = min(every, e.config.HeartbeatEvery)
	}
	return max(every, time.Millisecond)
}

// heartbeatTimeout is how long the router waits for a sign of life.
func heartbeatTimeout(t *events.Task) time.Duration {
	if t.Timeouts.Heartbeat > 0 {
		return t.Timeouts.Heartbeat
	}
	return defaultHeartbeat
}
