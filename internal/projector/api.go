package projector

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/leat-io/leat/internal/endings"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

const maxBody = rest.MaxBody

// newHandler builds the routes.
func newHandler(p *Projector) (http.Handler, error) {
	mux := http.NewServeMux()
	api := rest.API(mux, "Leat projector", "The state and history of workflow instances, and the commands for them.")
	p.routeInstances(api)
	p.routeHistory(api)
	p.routeStream(api)
	p.routeEnds(api)
	p.routeCounts(api)
	p.routeStatus(api)
	p.routeNodes(api)
	p.routeCommands(api)
	if err := rest.Describe(mux, api); err != nil {
		return nil, err
	}
	mux.HandleFunc("/api/", rest.NotFound)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if p.config.Page == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
			rest.NotFound(w, r)
			return
		}
		p.config.Page.ServeHTTP(w, r)
	})
	return rest.Guard(wholeKey(mux), bodyOf), nil
}

// bodyOf bounds the body of a request, in bytes.
func bodyOf(r *http.Request) int64 {
	if strings.HasSuffix(r.URL.Path, endsPath) {
		return endings.MaxBody
	}
	return rest.MaxBody
}

// read gives visit the store. It answers 503 while there is none.
func (p *Projector) read(visit func(*store.DB) error) error {
	p.live.RLock()
	defer p.live.RUnlock()
	if p.live.db == nil {
		return p.away()
	}
	return p.judge(visit(p.live.db))
}

func (p *Projector) away() error {
	why := "it is starting"
	if err := p.Ready(); err != nil {
		why = err.Error()
	}
	return newProblem(http.StatusServiceUnavailable, problem.ProjectorAway, "The projector cannot answer yet", why, "try again in a moment")
}

// judge lets problems pass and hides everything else behind the log.
func (p *Projector) judge(err error) error {
	var known *Problem
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	p.config.Logger.LogAttrs(context.Background(), slog.LevelError, "query failed", slog.Any("error", err))
	return newProblem(http.StatusInternalServerError, problem.Internal, "The request could not be answered", "see the projector's log", "")
}

// checkType refuses what cannot be a workflow type.
func checkType(workflowType string) error {
	if err := events.CheckWorkflowType("type", workflowType); err != nil {
		return badRequest("The workflow type is not one", err)
	}
	return nil
}
