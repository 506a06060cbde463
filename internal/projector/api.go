package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// maxBody bounds a request's body. How long it may take is bounded by huma (5 s).
const maxBody = 1 << 20

// newHandler builds the routes. Browsers may only use it from its own origin:
// there is no CORS, and what changes something is refused from elsewhere.
func newHandler(p *Projector) (http.Handler, error) {
	config := huma.DefaultConfig("Leat projector", "1")
	config.Info.Description = "The state and history of workflow instances, and the commands for them."
	config.CreateHooks = nil // no $schema in answers
	config.DocsPath, config.SchemasPath, config.OpenAPIPath = "", "", ""
	config.Transformers = []huma.Transformer{problems}
	schemas := config.Components.Schemas
	schemas.RegisterTypeAlias(reflect.TypeFor[events.ContextValue](), reflect.TypeFor[any]())
	schemas.RegisterTypeAlias(reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]())
	schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())

	mux := http.NewServeMux()
	api := humago.New(mux, config)
	p.routeInstances(api)
	p.routeHistory(api)
	p.routeStream(api)
	p.routeCounts(api)
	p.routeStatus(api)
	p.routeCommands(api)

	description, err := events.EncodeJSON(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(description)
	})
	mux.HandleFunc("/api/", notFound)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if p.config.Page == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
			notFound(w, r)
			return
		}
		p.config.Page.ServeHTTP(w, r)
	})
	return guard(http.NewCrossOriginProtection().Handler(wholeKey(mux))), nil
}

// guard bounds bodies and keeps browsers from guessing or caching.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, newProblem(http.StatusNotFound, codeRequest, "There is no such route",
		r.Method+" "+r.URL.Path+" is not a route", "/openapi.json lists the routes"))
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	if text, err := events.EncodeJSON(p); err == nil {
		_, _ = w.Write(text) //nolint:gosec // it is JSON, whose type is said
	}
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
