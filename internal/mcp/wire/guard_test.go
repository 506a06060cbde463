package wire

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A subsystem is reached only where the operator allows it, by its name, by its
// address and by where it redirects to.
func TestGate(t *testing.T) {
	f := newFaults(t)
	local := strings.Replace(f.URL, "127.0.0.1", "localhost", 1)
	for name, c := range map[string]struct {
		allow   []string
		private bool
		url     string
		why     string
	}{
		"nothing is allowed by default":  {url: f.URL, why: "--mcp-allow '" + f.URL + "'"},
		"an address that is written":     {allow: []string{f.URL}, url: f.URL},
		"a name of a private address":    {allow: []string{local}, url: local, why: "127.0.0.1"},
		"the same, allowed":              {allow: []string{local}, private: true, url: local},
		"metadata of a cloud, in IPv4":   {allow: []string{"http://*"}, private: true, url: "http://169.254.169.254/", why: "169.254.169.254"},
		"a scheme that is not allowed":   {allow: []string{strings.TrimPrefix(f.URL, "http://")}, url: f.URL, why: "--mcp-allow"},
		"another port of the same host":  {allow: []string{"http://127.0.0.1:1"}, url: f.URL, why: "--mcp-allow"},
		"every public host, and a local": {allow: []string{"http://*:" + f.URL[strings.LastIndexByte(f.URL, ':')+1:]}, url: f.URL, why: "127.0.0.1"},
	} {
		gate, err := NewGate(c.allow, c.private, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := Open(t.Context(), Target{ID: "s", URL: c.url}, Options{Transport: gate})
		if c.why == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			_ = conn.Close(t.Context())
		} else if got := failureOf(t, err); got.Evidence != NotSent || got.Code != CodeUnavailable || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A redirect within the server is followed, with the call as it was; the one place
// where a credential would go elsewhere is not.
func TestRedirects(t *testing.T) {
	f := newFaults(t)
	var away atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { away.Add(1) }))
	t.Cleanup(other.Close)
	to := "/mcp/"
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	conn := open(t, Target{ID: "s", URL: front.URL + "/mcp"}, testOptions())
	if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")}); err != nil {
		t.Fatal(err)
	}
	to = other.URL
	if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")}); failureOf(t, err).Code != CodeProtocol || away.Load() != 0 {
		t.Errorf("got %v, %d requests elsewhere", err, away.Load())
	}
}

// keyed is a server that wants a key.
func keyed(t *testing.T, want *atomic.Value) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	f := newFaults(t)
	var refused atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+want.Load().(string) {
			refused.Add(1)
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"bad token %s"}}`, r.Header.Get("Authorization"))
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &refused
}

// A key that was changed at both ends while calls run fails none of them; one that
// is refused is tried again once, and only when it is another by then. It stands in
// no error, even when the server repeats it.
func TestKeys(t *testing.T) {
	var want, have atomic.Value
	want.Store("the-first-key")
	have.Store("the-first-key")
	server, refused := keyed(t, &want)
	options := testOptions()
	reads := 0
	stale := false
	options.Authorizer = &Key{Read: func() (string, error) {
		if reads++; stale && reads == 1 { // the file changes between the request and its answer
			return "the-first-key", nil
		}
		return have.Load().(string), nil
	}}
	conn := open(t, Target{ID: "s", URL: server.URL}, options)
	if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")}); err != nil {
		t.Fatal(err)
	}
	want.Store("the-second-key")
	have.Store("the-second-key")
	reads, stale = 0, true
	if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")}); err != nil {
		t.Errorf("a new key is not used: %v", err)
	}
	stale = false
	if refused.Load() != 1 {
		t.Errorf("refused %d times", refused.Load())
	}
	want.Store("the-third-key")
	_, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")})
	if got := failureOf(t, err); got.Code != CodeUnauthorized || got.Evidence != Refused || refused.Load() != 2 {
		t.Errorf("got %v after %d refusals", err, refused.Load())
	}
	if strings.Contains(err.Error(), "the-second-key") {
		t.Errorf("the key is in the error: %v", err)
	}
}

func TestKeyThatCannotBeRead(t *testing.T) {
	f := newFaults(t)
	options := testOptions()
	options.Authorizer = &Key{Read: func() (string, error) { return "", errors.New("there is no file") }}
	_, err := Open(t.Context(), Target{ID: "s", URL: f.URL}, options)
	if got := failureOf(t, err); got.Code != CodeUnauthorized || got.Evidence != NotSent {
		t.Errorf("got %v", err)
	}
	options.Authorizer = &Key{Header: "X-Api-Key", Read: func() (string, error) { return "two\nlines", nil }}
	if _, err := Open(t.Context(), Target{ID: "s", URL: f.URL}, options); failureOf(t, err).Code != CodeUnauthorized {
		t.Errorf("got %v", err)
	}
}

// Close waits for the calls that run, as long as it may; it ends no stream of one.
func TestCloseWaits(t *testing.T) {
	f := newFaults(t)
	conn, err := Open(t.Context(), Target{ID: "s", URL: f.URL}, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	finish := bystanders(t, conn, f)
	closed := make(chan error, 1)
	go func() { closed <- conn.Close(t.Context()) }()
	eventually(t, "it does not close", func() bool {
		_, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")})
		return err != nil && failureOf(t, err).Evidence == NotSent
	})
	select {
	case <-closed:
		t.Error("it does not wait")
	case <-time.After(50 * time.Millisecond):
	}
	finish()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
