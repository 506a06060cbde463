//go:build synctests

package sim

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	chaosFor   = 90 * time.Second // of virtual time
	quietFor   = 15 * time.Minute // longest until everything is done after the faults have ended
	zombieFrom = 6 * time.Second  // the session timeout: a pause of more than this loses the partitions
)

// deed is one kind of thing that the nemesis does.
type deed struct {
	name   string
	weight int
	do     func(*world)
}

// There is no compaction among them: kfake's cleaner forgets abort markers, and
// then hides what their producers commit later (README.md).
var deeds = []deed{
	{"router crashes", 5, func(w *world) { w.crash(w.anyRouter(), w.startRouter) }},
	{"router pauses", 6, func(w *world) { w.pauseHost(w.anyRouter()) }},
	{"router restarts in order", 2, func(w *world) { w.restart(w.anyRouter(), w.startRouter) }},
	{"router loses its connections", 3, func(w *world) { w.cut(w.anyRouter()) }},
	{"executor crashes", 1, func(w *world) { w.crash(w.executor, func(*slot) { w.startExecutor() }) }},
	{"executor pauses", 1, func(w *world) { w.pauseHost(w.executor) }},
	{"executor loses its connections", 1, func(w *world) { w.cut(w.executor) }},
	{"executor restarts in order", 1, func(w *world) { w.restart(w.executor, func(*slot) { w.startExecutor() }) }},
	{"projector crashes", 1, func(w *world) { w.crash(w.viewer, func(*slot) { w.startProjector() }) }},
	{"partition leaders move", 2, func(w *world) { w.cluster.ShufflePartitionLeaders() }},
	{"coordinators move", 2, func(w *world) { w.cluster.RehashCoordinators() }},
	{"broker answers an error", 8, func(w *world) { w.brokerError() }},
}

// torment does deeds until time is up, and then mends everything.
func (w *world) torment() {
	total := 0
	for _, d := range deeds {
		total += d.weight
	}
	calm := 1 + w.rng.IntN(6) // seconds between deeds, at most: some histories are wilder than others
	for end := time.Now().Add(chaosFor); time.Now().Before(end); {
		time.Sleep(time.Duration(w.rng.Int64N(int64(calm) * int64(time.Second))))
		w.startPending(false)
		at := w.rng.IntN(total)
		for _, d := range deeds {
			if at -= d.weight; at < 0 {
				w.logger.Info("NEMESIS", "deed", d.name)
				w.seen.add(d.name)
				d.do(w)
				break
			}
		}
	}
	w.mend()
}

func (w *world) anyRouter() *slot { return w.routers[w.rng.IntN(len(w.routers))] }

// crash kills a process abruptly: its network is gone before it knows. Another
// one takes its place after a while, with what is left on disk or without.
func (w *world) crash(s *slot, start func(*slot)) {
	if s.host == nil {
		return
	}
	machine := w.rng.IntN(3) == 0
	s.host.kill(machine)
	switch {
	case s.files == nil:
	case w.rng.IntN(3) == 0:
		w.seen.add("stores lost")
		s.files = nil
	case machine:
		w.seen.add("stores torn")
		s.files = s.files.Crash(w.rng.IntN(101), w.rng)
	default:
		w.seen.add("stores kept")
		s.files = s.files.Crash(100, w.rng)
	}
	s.stop()
	s.host = nil
	w.later(time.Duration(w.rng.Int64N(int64(12*time.Second))), s, start)
}

// restart stops a process in order and starts another.
func (w *world) restart(s *slot, start func(*slot)) {
	if s.host == nil {
		return
	}
	s.stop()
	ended := s.ended
	s.host = nil
	wait := time.Duration(w.rng.Int64N(int64(5 * time.Second)))
	w.pending = append(w.pending, pending{at: time.Now().Add(wait), slot: s, after: ended, start: start})
}

// pauseHost stops a process without its knowledge, and lets it go on later.
func (w *world) pauseHost(s *slot) {
	h := s.host
	if h == nil {
		return
	}
	d := time.Duration(500+w.rng.IntN(24500)) * time.Millisecond
	if w.rng.IntN(2) == 0 { // about as long as the group and the coordinator wait
		d = time.Duration(5000+w.rng.IntN(8000)) * time.Millisecond
	}
	if d > zombieFrom {
		w.seen.add("zombies: " + s.name[:1])
	}
	h.freeze()
	w.workers.Go(func() {
		time.Sleep(d)
		h.unfreeze()
	})
}

func (w *world) cut(s *slot) {
	if s.host != nil {
		w.seen.addN("connections cut", s.host.cutLinks(func() bool { return w.rng.IntN(2) == 0 }))
	}
}

// brokerErrors are answers that a healthy client has to live with.
var brokerErrors = []struct {
	key  kmsg.Key
	errs []*kerr.Error
}{
	{kmsg.Produce, []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend}},
	{kmsg.TxnOffsetCommit, []*kerr.Error{
		kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.RequestTimedOut, kerr.ConcurrentTransactions, kerr.RebalanceInProgress,
	}},
	{kmsg.EndTxn, []*kerr.Error{kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.ConcurrentTransactions, kerr.UnknownServerError}},
	{kmsg.InitProducerID, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.ConcurrentTransactions}},
	{kmsg.Fetch, []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownServerError, kerr.KafkaStorageError}},
	{kmsg.Heartbeat, []*kerr.Error{kerr.RebalanceInProgress, kerr.CoordinatorNotAvailable, kerr.UnknownMemberID}},
	{kmsg.JoinGroup, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator}},
	{kmsg.SyncGroup, []*kerr.Error{kerr.RebalanceInProgress, kerr.NotCoordinator}},
	{kmsg.OffsetFetch, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.UnstableOffsetCommit}},
	{kmsg.OffsetCommit, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.RequestTimedOut}},
	{kmsg.ListOffsets, []*kerr.Error{kerr.NotLeaderForPartition}},
}

func (w *world) brokerError() {
	which := brokerErrors[w.rng.IntN(len(brokerErrors))]
	err := which.errs[w.rng.IntN(len(which.errs))]
	w.seen.add("broker error " + which.key.Name())
	w.faults = append(w.faults, w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{which.key}, Err: err, Count: 1 + w.rng.IntN(3)}))
}

// pending is a process that has to be started.
type pending struct {
	at    time.Time
	slot  *slot
	after <-chan struct{}
	start func(*slot)
}

func (w *world) later(wait time.Duration, s *slot, start func(*slot)) {
	w.pending = append(w.pending, pending{at: time.Now().Add(wait), slot: s, start: start})
}

// startPending starts what has to be started by now, or all of it.
func (w *world) startPending(all bool) {
	kept := w.pending[:0]
	for _, p := range w.pending {
		if !all && time.Now().Before(p.at) {
			kept = append(kept, p)
			continue
		}
		if p.after != nil {
			<-p.after
		}
		p.start(p.slot)
	}
	w.pending = kept
}

// mend ends all faults and has every process run.
func (w *world) mend() {
	w.network.setRough(0)
	for _, f := range w.faults {
		f.Remove()
	}
	for _, s := range w.slots() {
		if s.host != nil {
			s.host.unfreeze()
		}
	}
	w.startPending(true)
	w.logger.Info("NEMESIS has mended everything")
}
