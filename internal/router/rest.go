package router

import (
	"maps"
	"time"

	"github.com/leat-io/leat/internal/shard"
)

// A large instance costs much, whatever is decided of it: its snapshot is copied
// for each decision and written by each transaction, and by each answer to a
// describe. When others want to be decided it rests after a transaction, for some
// times as long as that took.
const (
	// largeRecord is how many bytes make a snapshot large.
	largeRecord = 64 << 10
	restTimes   = 20
	longestRest = time.Second
	// crowdFor is the share of a transaction that an instance has which is not
	// large, when others want to be decided: they wait for as long.
	crowdFor = time.Millisecond
	// stillActive is how long after its last decision an instance counts as one
	// that wants to be decided.
	stillActive = time.Second
)

// rests are of the large instances of a lane. All of it belongs to the run loop;
// large is guarded by the lane's mu besides: NextWake asks for it.
type rests struct {
	active map[shard.Partition]time.Time // when an instance that is not large was decided last
	large  map[instance]rest             // the ones that rest
}

type rest struct {
	until time.Time
	due   time.Time // of its earliest timer; zero for none
}

func newRests() rests {
	return rests{active: make(map[shard.Partition]time.Time), large: make(map[instance]rest)}
}

// crowded reports whether instances in other partitions than p were decided lately.
func (r *rests) crowded(p shard.Partition, now time.Time) bool {
	for other, last := range r.active {
		if now.Sub(last) >= stillActive {
			delete(r.active, other)
		} else if other != p {
			return true
		}
	}
	return false
}

func (r *rests) has(at instance) bool {
	_, ok := r.large[at]
	return ok
}

// wake is when the first rest is over; zero for never.
func (r *rests) wake() (at time.Time) {
	for _, one := range r.large {
		at = earlier(at, one.until)
	}
	return at
}

// forget drops a partition that was revoked.
func (r *rests) forget(p shard.Partition) {
	delete(r.active, p)
	maps.DeleteFunc(r.large, func(at instance, _ rest) bool { return at.partition == p })
}

// share is how much of a transaction an instance may take, beyond one decision.
func (l *lane) share(t *transaction, p shard.Partition) time.Duration {
	if t.last.size < largeRecord && l.rests.crowded(p, t.now) {
		return crowdFor
	}
	return instanceFor
}

// rest has the large instances of a transaction that was committed let others go
// first, when there are any: their timers wait, and so do the commands of their
// partitions, as far as these are for them.
func (l *lane) rest(t *transaction) {
	took := time.Since(t.started)
	l.mu.Lock()
	defer l.mu.Unlock()
	size := 0
	for at, e := range t.overlay {
		if e.changed {
			delete(l.rests.large, at)
		}
		if (e.changed || e.asked) && len(e.record) < largeRecord {
			l.rests.active[at.partition] = t.now
		}
		size += e.weight()
	}
	for at, e := range t.overlay {
		if e.weight() < largeRecord || !l.rests.crowded(at.partition, t.now) {
			continue
		}
		part := float64(e.weight()) / float64(size)
		wait := min(time.Duration(restTimes*part*float64(took)), longestRest)
		r := rest{until: l.config.Clock().Add(wait), due: firstDue(e.cur)}
		if e.changed { // what others ask does not keep its timers waiting
			l.rests.large[at] = r
		}
		if t.batch.Rest == nil {
			t.batch.Rest = make(map[shard.Partition]time.Time)
		}
		if r.until.After(t.batch.Rest[at.partition]) {
			t.batch.Rest[at.partition] = r.until
		}
		l.config.Metrics.rested(wait)
	}
}

// releaseRested has the timers of instances fire again whose rest is over.
func (l *lane) releaseRested(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, r := range l.rests.large {
		if r.until.After(now) {
			continue
		}
		delete(l.rests.large, at)
		if known, open := l.timer[at.partition]; open {
			l.timer[at.partition] = earlier(known, r.due)
		}
	}
}
