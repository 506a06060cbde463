package projector

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// maxWait bounds how long an answer may wait for a sequence.
const maxWait = 60 * time.Second

// ref is how a caller names an instance: by business key, or as id:UUID.
type ref struct {
	workflowType string
	text         string
}

// resolve finds the instance; i is nil when there is none, and id is then the
// one that the name would have. A text that looks like a UUID is a key. It is
// read as an id, as it once was, only where the view has no instance of the key
// and one of the id.
func (r ref) resolve(db *store.DB) (id events.UUID, i *views.Instance, err error) {
	named := events.ParseRef(r.text)
	if !named.ID.IsNil() {
		i, err = views.Get(db, r.workflowType, named.ID)
		return named.ID, i, err
	}
	id, i, err = views.ByKey(db, r.workflowType, named.Key)
	bare, parseErr := events.ParseUUID(r.text)
	if i != nil || err != nil || parseErr != nil {
		return id, i, err
	}
	if head, _, err := views.StoredHead(db, r.workflowType, id); head > 0 || err != nil {
		return id, nil, err
	}
	if i, err = views.Get(db, r.workflowType, bare); i != nil || err != nil {
		return bare, i, err
	}
	if head, _, err := views.StoredHead(db, r.workflowType, bare); head > 0 || err != nil {
		return bare, nil, err
	}
	return id, nil, nil
}

// names lists what has to be watched to see the instance appear.
func (r ref) names() []views.Name {
	names := []views.Name{{Type: r.workflowType, ID: events.ParseRef(r.text).InstanceID(r.workflowType)}}
	if id, err := events.ParseUUID(r.text); err == nil {
		names = append(names, views.Name{Type: r.workflowType, ID: id})
	}
	return names
}

// Freshness asks for an answer that reflects what the caller has written.
type Freshness struct {
	MinSequence int64  `query:"min_sequence" minimum:"0" doc:"Answer only with this sequence or a newer one: read your writes."`
	Wait        string `query:"wait" default:"10s" doc:"How long to wait for min_sequence: a duration such as 500ms or 10s, at most 60s."`
}

func (f Freshness) timeout() (time.Duration, error) {
	if f.Wait == "" {
		return 10 * time.Second, nil
	}
	return waitOf(f.Wait)
}

func waitOf(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && (d < 0 || d > maxWait) {
		err = fmt.Errorf("%s is not between 0s and %s", d, maxWait)
	}
	if err != nil {
		return 0, badRequest("wait is not a duration that can be waited", err)
	}
	return d, nil
}

// look reads an answer about an instance, found by resolve: the sequence that it
// reflects, and the one that another view is known to have reached.
type look func(db *store.DB, id events.UUID, found *views.Instance) (sequence, known int64, err error)

// await looks until the answer is as new as f asks for and as the other view is.
// It answers 504 when that takes too long, but is content with what there is when
// only the other view is newer.
func (p *Projector) await(ctx context.Context, r ref, f Freshness, at look) error {
	timeout, err := f.timeout()
	if err != nil {
		return err
	}
	var sequence, wanted int64
	inTime, err := p.lookUntil(ctx, r, timeout, func(db *store.DB, id events.UUID, found *views.Instance) (bool, error) {
		var known int64
		var err error
		sequence, known, err = at(db, id, found)
		wanted = max(f.MinSequence, known)
		return sequence >= wanted, err
	})
	if err != nil || inTime || sequence > 0 && sequence >= f.MinSequence {
		return err
	}
	return tooLate(r, wanted, timeout, sequence)
}

// lookUntil reads r until that is enough, at first and whenever there is news of
// r, and reports whether it was in time. An instance that is forgotten is an error.
func (p *Projector) lookUntil(ctx context.Context, r ref, timeout time.Duration, enough func(*store.DB, events.UUID, *views.Instance) (bool, error)) (inTime bool, err error) {
	w := p.hub.watch(r.names()...)
	defer w.close()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		if err := p.read(func(db *store.DB) error {
			id, found, err := r.resolve(db)
			if err != nil {
				return err
			}
			w.also(views.Name{Type: r.workflowType, ID: id}) // a key may stand for another id than the one it derives
			if inTime, err = enough(db, id, found); err != nil || found != nil {
				return err
			}
			return r.notForgotten(db, id)
		}); err != nil || inTime {
			return inTime, err
		}
		select {
		case <-w.news:
		case <-timer.C:
			return false, nil
		case <-p.stopping:
			return false, p.away()
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func tooLate(r ref, wanted int64, waited time.Duration, sequence int64) error {
	late := newProblem(http.StatusGatewayTimeout, problem.TimedOut,
		fmt.Sprintf("%s %s has not reached sequence %d in %s", r.workflowType, r.text, wanted, waited),
		fmt.Sprintf("the view reflects sequence %d: the router or this projector is behind, or the instance never gets there", sequence),
		"ask again, with a longer wait; /api/v1/status shows how far the projector is behind")
	late.Sequence = &sequence
	return late
}

// notForgotten is a problem for an instance that was there once and whose
// retention is over.
func (r ref) notForgotten(db *store.DB, id events.UUID) error {
	if _, forgotten, err := views.StoredHead(db, r.workflowType, id); err != nil || !forgotten {
		return err
	}
	return newProblem(http.StatusNotFound, problem.InstanceForgotten,
		fmt.Sprintf("%s %s is not in the views any longer", r.workflowType, r.text),
		"it is finished, and the retention that its definition declares is over",
		fmt.Sprintf("its events are still there: leat history %s %s --brokers ADDRESS reads them from the topic", r.workflowType, r.text))
}

func missing(r ref) error {
	return newProblem(http.StatusNotFound, problem.InstanceMissing,
		fmt.Sprintf("There is no instance %s of %s", r.text, r.workflowType),
		"no business key has this name in the view, and no instance the id, which is written id:UUID", "")
}

// wholeKey names the instance whose key is "/", "." or ".." by its id: the router
// of net/http takes the first for the end of a path, and the others, which only
// arrive from clients that send a path as it is, for steps within it.
func wholeKey(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pieces := strings.Split(r.URL.EscapedPath(), "/") // "", api, v1, instances, type, key
		if len(pieces) > 5 && pieces[1] == "api" && pieces[3] == "instances" {
			if key, err := url.PathUnescape(pieces[5]); err == nil && (key == "/" || key == "." || key == "..") {
				pieces[5] = events.Ref{ID: events.InstanceIDForKey(pieces[4], key)}.String()
				named := r.Clone(r.Context())
				if path, err := url.PathUnescape(strings.Join(pieces, "/")); err == nil {
					named.URL.Path, named.URL.RawPath = path, strings.Join(pieces, "/")
					r = named
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}
