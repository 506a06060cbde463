package gateway

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
	"github.com/leat-io/leat/pkg/events"
)

// A lease token names the gateway process, the task, the attempt and the number
// of the lease, and proves that with a MAC under a secret that only the process
// knows. The attempt's claim token never leaves the process: a worker can report
// through the gateway, for as long as its lease lasts, and in no other way.
//
//	v1.<process>.<task id>.<attempt>.<number>.<mac>
const tokenVersion = "v1"

// lastEnded is how many leases are remembered after their end, so that a request
// whose answer was lost can be repeated.
const lastEnded = 4096

// leases are the leases of one gateway process. Safe for concurrent use.
type leases struct {
	process string
	secret  []byte
	metrics Metrics

	mu     sync.Mutex // guards what follows
	number uint64
	held   map[string]*held // by token, until they are over and reported
	ended  map[string]*held // the last of those, by token
	order  []string         // the tokens of ended, a ring
	oldest int              // in order
}

// held is a lease that is, or was, with a worker.
type held struct {
	token string
	queue string
	lease *executor.Lease

	mu     sync.Mutex // guards what follows
	report string     // complete or fail, "" before either
	reason error      // why the report was not taken as it was, nil when it was
}

func newLeases(m Metrics) *leases {
	l := &leases{metrics: m, secret: make([]byte, 32), held: make(map[string]*held), ended: make(map[string]*held)}
	process := make([]byte, 8)
	_, _ = rand.Read(l.secret) // never fails
	_, _ = rand.Read(process)
	l.process = base64.RawURLEncoding.EncodeToString(process)
	return l
}

// add gives a lease its token.
func (l *leases) add(queue string, lease *executor.Lease) *held {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	t := lease.Task()
	h := &held{queue: queue, lease: lease, token: l.tokenOf(t.TaskID, t.Attempt, l.number)}
	l.held[h.token] = h
	l.metrics.Leases(1)
	return h
}

func (l *leases) tokenOf(task events.UUID, attempt int32, number uint64) string {
	seed := binary.BigEndian.AppendUint64(slices.Clip(l.secret), number)
	return strings.Join([]string{
		tokenVersion, l.process, task.String(), strconv.Itoa(int(attempt)), strconv.FormatUint(number, 10), events.ClaimToken(seed, task, attempt),
	}, ".")
}

// end forgets a lease, except that it was there.
func (l *leases) end(h *held) {
	l.metrics.Leases(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, h.token)
	l.ended[h.token] = h
	if len(l.order) < lastEnded {
		l.order = append(l.order, h.token)
		return
	}
	delete(l.ended, l.order[l.oldest])
	l.order[l.oldest] = h.token
	l.oldest = (l.oldest + 1) % lastEnded
}

// find returns the lease of a token, also one that ended a short while ago. The
// error is a problem that says what is wrong with the token.
func (l *leases) find(queue, token string) (*held, error) {
	l.mu.Lock()
	h := l.held[token]
	if h == nil {
		h = l.ended[token]
	}
	l.mu.Unlock()
	switch {
	case h == nil:
		return nil, l.judge(token)
	case h.queue != queue:
		return nil, rest.New(http.StatusForbidden, problem.LeaseForged, "The lease is of another queue",
			"its task is of queue "+h.queue+", not "+queue, "report to the queue that was polled")
	}
	return h, nil
}

// judge says what is wrong with a token that belongs to no lease.
func (l *leases) judge(token string) error {
	process, genuine, err := l.parse(token)
	switch {
	case err != nil:
		return forged(err.Error())
	case process != l.process:
		return rest.New(http.StatusConflict, problem.LeaseElsewhere, "Another gateway process gave out the lease",
			"leases live in the process that was polled: this is another gateway, or that process has restarted since", "")
	case !genuine:
		return forged("this gateway has not given it out: its signature does not match")
	default:
		return over("it ended some time ago")
	}
}

// parse takes a token apart. genuine means that this process has made it.
func (l *leases) parse(token string) (process string, genuine bool, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 6 || parts[0] != tokenVersion {
		return "", false, errors.New("it is not of the form that poll answers give under lease")
	}
	task, err := events.ParseUUID(parts[2])
	if err != nil {
		return "", false, fmt.Errorf("its task is not a UUID: %w", err)
	}
	attempt, err := strconv.ParseInt(parts[3], 10, 32)
	if err != nil {
		return "", false, errors.New("its attempt is not a number")
	}
	number, err := strconv.ParseUint(parts[4], 10, 64)
	if err != nil {
		return "", false, errors.New("its number is not one")
	}
	made := l.tokenOf(task, int32(attempt), number)
	return parts[1], subtle.ConstantTimeCompare([]byte(made), []byte(token)) == 1, nil
}

func forged(why string) error {
	return rest.New(http.StatusForbidden, problem.LeaseForged, "The lease is not genuine", why, "")
}

func over(why string) error {
	return rest.New(http.StatusConflict, problem.LeaseOver, "The lease is over", why, "")
}

// overBecause words why a lease is over for its holder.
func overBecause(why error) error { return over(why.Error()) }
