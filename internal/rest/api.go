package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/leat-io/leat/pkg/events"
)

// MaxBody bounds a request's body. How long it may take is bounded by huma (5 s).
const MaxBody = 1 << 20

// API makes an API whose routes go to mux.
func API(mux *http.ServeMux, title, description string) huma.API {
	config := huma.DefaultConfig(title, "1")
	config.Info.Description = description
	config.CreateHooks = nil // no $schema in answers
	config.DocsPath, config.SchemasPath, config.OpenAPIPath = "", "", ""
	config.Transformers = []huma.Transformer{problems}
	schemas := config.Components.Schemas
	schemas.RegisterTypeAlias(reflect.TypeFor[events.ContextValue](), reflect.TypeFor[any]())
	schemas.RegisterTypeAlias(reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]())
	schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())
	return humago.New(mux, config)
}

// Describe serves api's description at /openapi.json. Call it when api has all
// its routes.
func Describe(mux *http.ServeMux, api huma.API) error {
	description, err := events.EncodeJSON(api.OpenAPI())
	if err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(description)
	})
	return nil
}

// Guard bounds bodies, keeps browsers from guessing or caching, and lets them
// use next only from its own origin: there is no CORS, and what changes something
// is refused from elsewhere. most says how large a body may be, nil for MaxBody.
func Guard(next http.Handler, most func(*http.Request) int64) http.Handler {
	if most == nil {
		most = func(*http.Request) int64 { return MaxBody }
	}
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most(r))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
