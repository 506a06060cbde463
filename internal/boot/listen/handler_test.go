package listen

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAPISeesPathsAsTheyWereSent: a key may be "..", and a path of the workers'
// own stays theirs.
func TestAPISeesPathsAsTheyWereSent(t *testing.T) {
	ops := http.NewServeMux()
	ops.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ops")) })
	both := BesideAPI(ops, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) }))
	for path, want := range map[string]string{
		"/livez": "ops", "/": "/", "/api/v1/instances/order/..": "/api/v1/instances/order/..", "/api/v1/instances/order/./pause": "/api/v1/instances/order/./pause",
	} {
		w := httptest.NewRecorder()
		both.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Body.String() != want {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
}
