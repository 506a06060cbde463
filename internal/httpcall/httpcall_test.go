package httpcall

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/internal/egress"
	"github.com/leat-io/leat/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server with one path a behaviour, and a second one to which it redirects.
type world struct {
	url   string // of the server, by its address
	local string // the same, by the name localhost
	other string // of the second server, by the name localhost
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/status/{code}", func(rw http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscan(r.PathValue("code"), &code)
		rw.WriteHeader(code)
		_, _ = io.WriteString(rw, "secret=42")
	})
	mux.HandleFunc("/as/{kind...}", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", r.PathValue("kind"))
		rw.Header().Set("Set-Cookie", "session=42")
		_, _ = io.WriteString(rw, r.URL.Query().Get("body"))
	})
	mux.HandleFunc("/large", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(bytes.Repeat([]byte("x"), 2*maxBody)) })
	mux.HandleFunc("/headers", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-Large", strings.Repeat("x", 2*64<<10))
	})
	mux.HandleFunc("/quotes", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(bytes.Repeat([]byte{'"'}, maxBody-1)) })
	mux.HandleFunc("/bomb", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		zeros := make([]byte, 1<<20)
		for range 1 << 10 { // a gigabyte, or until the caller has had enough
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
		_ = z.Close()
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/again/{n}", func(rw http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscan(r.PathValue("n"), &n)
		if n > 0 {
			http.Redirect(rw, r, fmt.Sprintf("/again/%d", n-1), http.StatusTemporaryRedirect)
			return
		}
		echo(rw, r)
	})
	mux.HandleFunc("/to", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, r.URL.Query().Get("url"), http.StatusTemporaryRedirect)
	})
	server, second := httptest.NewServer(mux), httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(second.Close)
	w.url = server.URL
	w.local = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	w.other = strings.Replace(second.URL, "127.0.0.1", "localhost", 1)
	return w
}

// echo answers with what it was asked.
func echo(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rw.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(rw)
	e.SetEscapeHTML(false)
	_ = e.Encode(map[string]any{"method": r.Method, "uri": r.RequestURI, "headers": r.Header, "body": string(body)})
}

func newCaller(t *testing.T, c Config) *Caller {
	t.Helper()
	caller, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(caller.Close)
	return caller
}

func task(input string) *events.Task {
	id := events.DeriveUUID(events.Namespace, "task")
	return &events.Task{
		TaskID: id, TaskName: TaskName, Attempt: 1, IdempotencyKey: "key-1", Input: json.RawMessage(input), CorrelationID: id,
		Delivery: events.AtLeastOnce, Timeouts: events.Timeouts{StartToClose: time.Minute},
	}
}

// codeOf runs a call and gives the code of its failure, with "!" when it may be retried.
func codeOf(t *testing.T, c *Caller, input string) (code, message string) {
	t.Helper()
	out, err := c.Handle(t.Context(), task(input))
	if err == nil {
		return "ok", string(out)
	}
	e, ok := errors.AsType[*events.Error](err)
	if !ok {
		t.Fatalf("%s: the error is no *events.Error: %v", input, err)
	}
	if e.Retryable {
		return e.Code + "!", e.Message
	}
	return e.Code, e.Message
}

func TestAnswers(t *testing.T) {
	w := newWorld(t)
	c := newCaller(t, Config{Allow: []string{w.url}})
	for _, test := range []struct{ path, code, want string }{
		{"/as/application/json?body=%7B%22a%22:%201%7D", "ok", `"body":{"a":1}}`},
		{"/as/application/problem%2Bjson;charset=utf-8?body=[%22%3C%22]", "ok", `"body":["<"]}`},
		{"/as/text/plain?body=%3Chi%3E", "ok", `"body":"<hi>"}`},
		{"/as/;;;?body=x", "ok", `"body":"x"}`},
		{"/as/image/png?body=%FF%00", "ok", `"body":"/wA=","encoding":"base64"}`},
		{"/as/application/json", "ok", `"body":null}`},
		{"/as/application/json?body=%7B", CodeBadResponse, "is not the JSON that its content type promises"},
		{"/as/application/json?body=%22%FF%22", CodeBadResponse, "is not the JSON"},
		{"/status/204", "ok", `"status":204`},
		{"/status/304", "ok", `"status":304`},
		{"/status/300", "HTTP_300", "answered 300 Multiple Choices"},
		{"/status/400", "HTTP_400", "answered 400 Bad Request"},
		{"/status/404", "HTTP_404", "answered 404 Not Found"},
		{"/status/408", "HTTP_408!", ""},
		{"/status/425", "HTTP_425!", ""},
		{"/status/429", "HTTP_429!", ""},
		{"/status/500", "HTTP_500!", ""},
		{"/status/503", "HTTP_503!", "answered 503 Service Unavailable"},
		{"/large", CodeTooLarge, "more than 262144 bytes"},
		{"/quotes", CodeTooLarge, "bytes as JSON"},
		{"/bomb", CodeTooLarge, "more than 262144 bytes"},
		{"/headers", CodeTransport + "!", ""},
		{"/again/5", "ok", "/again/0"},
		{"/again/6", CodeRedirect, "more than 5 redirects"},
	} {
		code, text := codeOf(t, c, `{"url": "`+w.url+test.path+`"}`)
		if code != test.code || !strings.Contains(text, test.want) {
			t.Errorf("%s: got %s %.200s, want %s %s", test.path, code, text, test.code, test.want)
		}
		if strings.Contains(text, "=42") {
			t.Errorf("%s: a secret of the answer shows: %s", test.path, text)
		}
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t)
	c := newCaller(t, Config{Allow: []string{w.url}})
	for _, test := range []struct{ input, code, want string }{
		{`{}`, "ok", `"method":"GET"`},
		{`{"url": "` + w.url + `/echo?a=b c&\u00e4=%20+"}`, "ok", `"uri":"/echo?a=b%20c&%C3%A4=%20+"`},
		{`{"body": {"a": "<"}}`, "ok", `"body":"{\"a\": \"<\"}"`},
		{`{"body": {"a": 1}}`, "ok", `"method":"POST"`},
		{`{"body": {"a": 1}}`, "ok", `"Content-Type":["application/json"]`},
		{`{"input": [1]}`, "ok", `"body":"[1]"`},
		{`{"method": "PUT", "body": "x=1"}`, "ok", `"Content-Type":["text/plain; charset=utf-8"]`},
		{`{"method": "DELETE"}`, "ok", `"method":"DELETE"`},
		{`{"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": {"b": 1.5, "a": "ä &"}}`, "ok", `"body":"a=%C3%A4+%26&b=1.5"`},
		{`{"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": {"b": [1]}}`, CodeBadRequest, `field "b"`},
		{`{"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": [1]}`, CodeBadRequest, "a map"},
		{`{"headers": {"X-A": 1, "X-B": true, "X-C": null}}`, "ok", `"X-A":["1"],"X-B":["true"]`},
		{`{}`, "ok", `"Idempotency-Key":["key-1"]`},
		{`{"headers": {"Idempotency-Key": "mine"}}`, "ok", `"Idempotency-Key":["mine"]`},
		{`{}`, "ok", `"X-Correlation-Id":["` + task("").CorrelationID.String()},
		{`{}`, "ok", `"Traceparent":["00-` + strings.ReplaceAll(task("").CorrelationID.String(), "-", "") + `-`},
		{`{"method": "get"}`, CodeBadRequest, `"get" is none of GET`},
		{`{"method": "CONNECT"}`, CodeBadRequest, "none of"},
		{`{"method": "GET", "body": 1}`, CodeBadRequest, "a GET has no body"},
		{`{"headers": {"X-A": "1\r\nX-B: 2"}}`, CodeBadRequest, "X-A is not one line"},
		{`{"headers": {"X-A: b\r\nX-B": "2"}}`, CodeBadRequest, "cannot be a header"},
		{`{"headers": {"": "2"}}`, CodeBadRequest, "cannot be a header"},
		{`{"headers": {"HOST": "evil"}}`, CodeBadRequest, "cannot be a header"},
		{`{"headers": {"Transfer-Encoding": "chunked"}}`, CodeBadRequest, "cannot be a header"},
		{`{"headers": {"X-A": {}}}`, CodeBadRequest, "X-A is not one line"},
		{`{"headers": 1}`, CodeBadRequest, "is not {method, url, headers, body}"},
		{`{"url": 1}`, CodeBadRequest, "is not {method, url, headers, body}"},
		{`[]`, CodeBadRequest, "is not {method, url, headers, body}"},
		{`{"url": ""}`, CodeBadRequest, "neither https:// nor http://"},
		{`{"url": "file:///etc/passwd"}`, CodeBadRequest, "neither https:// nor http://"},
		{`{"url": "http:///x"}`, CodeBadRequest, "names no host"},
		{`{"url": "http://a:b@127.0.0.1/"}`, CodeBadRequest, "a user name or a password"},
		{`{"url": "http://ex\u00e4mple.com/"}`, CodeBadRequest, "not a name in ASCII"},
		{`{"url": "http://a\u0000b/"}`, CodeBadRequest, "cannot be read"},
	} {
		input := test.input
		if !strings.Contains(input, `"url"`) {
			input = strings.Replace(input, "{", `{"url": "`+w.url+`/echo",`, 1)
			input = strings.Replace(input, ",}", "}", 1)
		}
		code, text := codeOf(t, c, input)
		if code == "ok" {
			var out struct{ Body json.RawMessage }
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatal(err)
			}
			text = string(out.Body)
		}
		if code != test.code || !strings.Contains(text, test.want) {
			t.Errorf("%s: got %s %s, want %s %s", test.input, code, text, test.code, test.want)
		}
	}
}

func TestWhereCallsMayGo(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name    string
		config  Config
		url     string
		code    string
		message string
	}{
		{"nothing is allowed by default", Config{}, w.url + "/echo", CodeHostNotAllowed, "--http-allow '" + w.url + "'"},
		{"an address that the operator wrote down", Config{Allow: []string{w.url}}, w.url + "/echo", "ok", ""},
		{"another port", Config{Allow: []string{"http://127.0.0.1:1"}}, w.url + "/echo", CodeHostNotAllowed, ""},
		{"https is not http", Config{Allow: []string{strings.TrimPrefix(w.url, "http://")}}, w.url + "/echo", CodeHostNotAllowed, ""},
		{"a name of a private address", Config{Allow: []string{w.local}}, w.local + "/echo", CodeAddressRefused, "127.0.0.1 is not a permitted destination"},
		{"the same, when private ones are allowed", Config{Allow: []string{w.local}, AllowPrivate: true}, w.local + "/echo", "ok", ""},
		{"every public host is no private one", Config{Allow: []string{"http://*:" + port(w.url)}}, w.url + "/echo", CodeAddressRefused, ""},
		{"IPv4 in IPv6", Config{Allow: []string{"http://*:" + port(w.url)}}, "http://[::ffff:127.0.0.1]:" + port(w.url) + "/echo", CodeAddressRefused, ""},
		{"link-local, always", Config{Allow: []string{"http://*"}, AllowPrivate: true}, "http://169.254.169.254/latest/meta-data/", CodeAddressRefused, "169.254.169.254"},
		{"metadata inside of a private network", Config{Allow: []string{"http://*"}, AllowPrivate: true}, "http://[fd00:ec2::254]/", CodeAddressRefused, "metadata"},
		{"a redirect within the host", Config{Allow: []string{w.local}, AllowPrivate: true}, w.local + "/to?url=/echo", "ok", `"uri":"/echo"`},
		{"a redirect to a host that is not allowed", Config{Allow: []string{w.url}}, w.url + "/to?url=" + w.other + "/echo", CodeHostNotAllowed, w.other},
		{"a redirect to a private address", Config{Allow: []string{w.url, w.other}, AllowPrivate: true}, w.url + "/to?url=" + w.other + "/echo", CodeAddressRefused, ""},
		{"a redirect to an address that is allowed", Config{Allow: []string{w.local, w.url}, AllowPrivate: true}, w.local + "/to?url=" + w.url + "/echo", CodeAddressRefused, ""},
		{"a redirect to another scheme", Config{Allow: []string{w.url}}, w.url + "/to?url=file:///etc/passwd", CodeHostNotAllowed, ""},
	} {
		c := newCaller(t, test.config)
		code, text := codeOf(t, c, `{"url": "`+test.url+`"}`)
		if code != test.code || !strings.Contains(text, test.message) {
			t.Errorf("%s: got %s %s, want %s %s", test.name, code, text, test.code, test.message)
		}
	}
}

func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

func TestAllowedHosts(t *testing.T) {
	for _, test := range []struct{ allow, yes, no string }{
		{"api.example.com", "https://api.example.com/x https://API.example.com. https://api.example.com:443/", "http://api.example.com https://example.com https://api.example.com:8443 https://xapi.example.com"},
		{"*.example.com", "https://a.example.com https://a.b.example.com", "https://example.com https://aexample.com https://example.com.evil.com"},
		{"a.b:8443", "https://a.b:8443", "https://a.b"},
		{"http://a.b", "http://a.b http://a.b:80", "https://a.b http://a.b:81"},
		{"10.0.0.7", "https://10.0.0.7 https://[::ffff:10.0.0.7]", "https://10.0.0.8 https://0xa.7"},
		{"[::1]:8443", "https://[::1]:8443 https://[0:0::1]:8443", "https://[::1]"},
		{"*", "https://x.y https://1.2.3.4", "http://x.y https://x.y:1"},
	} {
		p, err := egress.New(egress.Config{Allow: []string{test.allow}})
		if err != nil {
			t.Fatal(err)
		}
		for want, list := range map[bool]string{true: test.yes, false: test.no} {
			for text := range strings.FieldsSeq(list) {
				u, err := parseURL(text)
				if err != nil {
					t.Fatal(err)
				}
				if got := p.Check(u) == nil; got != want {
					t.Errorf("%s with %s allowed: got %v", text, test.allow, got)
				}
			}
		}
	}
	for _, bad := range []string{"", "*x.com", "a.b/c", "ftp://a.b", "a.b:x", "a.b:0", "a b", "http://", "*.", "a.b:70000", "ä.com"} {
		if _, err := New(Config{Allow: []string{bad}}); err == nil {
			t.Errorf("%q was taken for a host", bad)
		}
	}
}

// What a definition gave for one host does not reach another.
func TestRedirectToAnotherHostKeepsSecrets(t *testing.T) {
	w := newWorld(t)
	c := newCaller(t, Config{Allow: []string{w.local, w.other}, AllowPrivate: true})
	c.foreign = c.usual // so that the second server, which is a private address, is reached
	code, text := codeOf(t, c, `{"url": "`+w.local+"/to?token=42&url="+w.other+`/echo", "method": "PUT", "body": {"a": 1},
		"headers": {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "s3cret", "Accept": "text/html"}}`)
	if code != "ok" || strings.Contains(text, "s3cret") || strings.Contains(text, "token=42") {
		t.Fatalf("got %s %s", code, text)
	}
	for _, want := range []string{`"Accept":["text/html"]`, `"Idempotency-Key":["key-1"]`, `"method":"PUT"`, `"body":"{\"a\": 1}"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing: %s", want, text)
		}
	}
}

func TestTimeBounds(t *testing.T) {
	w := newWorld(t)
	c := newCaller(t, Config{Allow: []string{w.url}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := c.Handle(ctx, task(`{"url": "`+w.url+`/slow?token=42"}`))
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "token") {
		t.Errorf("got %v, want the end of the task's own time, which the executor words", err)
	}
	ctx, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(errUsualTime) // as after a minute
	_, err = c.Handle(ctx, task(`{"url": "`+w.url+`/slow"}`))
	if e, ok := errors.AsType[*events.Error](err); !ok || e.Code != CodeTimeout || !e.Retryable {
		t.Errorf("got %v, want %s", err, CodeTimeout)
	}
}

func TestTLSIsVerified(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(echo))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the handshake that is refused
	t.Cleanup(server.Close)
	allowed := strings.TrimPrefix(server.URL, "https://")
	code, text := codeOf(t, newCaller(t, Config{Allow: []string{allowed}}), `{"url": "`+server.URL+`"}`)
	if code != CodeTransport+"!" || !strings.Contains(text, "certificate") {
		t.Errorf("a stranger's certificate: got %s %s", code, text)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if code, text = codeOf(t, newCaller(t, Config{Allow: []string{allowed}, RootCAs: roots}), `{"url": "`+server.URL+`"}`); code != "ok" {
		t.Errorf("a certificate that is trusted: got %s %s", code, text)
	}
}

// An answer that begins and does not end is bounded as one that does not begin.
func TestSlowBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "some")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	c := newCaller(t, Config{Allow: []string{server.URL}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := c.Handle(ctx, task(`{"url": "`+server.URL+`"}`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Whatever a definition computes, a request is either refused with a code or one
// that keeps to HTTP, and nothing of the input opens a host.
func FuzzRequest(f *testing.F) {
	f.Add(`{"url": "https://a.b/c?d=e#f", "method": "POST", "headers": {"X-A": "b", "Content-Type": "application/x-www-form-urlencoded"}, "body": {"a": 1}}`)
	f.Add(`{"url": "http://[::1]:80/", "headers": {"idempotency-key": 1}, "input": "text"}`)
	f.Add(`{"url": "https://a.b\r\nHost: c", "headers": {"a\r\nb": "c\r\nd"}}`)
	f.Add(`{"url": "//a.b/c"}`)
	closed, err := egress.New(egress.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, input string) {
		req, err := newRequest(t.Context(), task(input))
		if err != nil {
			if e, ok := errors.AsType[*events.Error](err); !ok || e.Code != CodeBadRequest || e.Retryable {
				t.Fatalf("got %v", err)
			}
			return
		}
		if closed.Check(req.URL) == nil {
			t.Fatalf("%s is allowed by an empty list", req.URL)
		}
		var wire bytes.Buffer
		if err := req.Write(&wire); err != nil {
			t.Fatalf("%s cannot be written: %v", input, err)
		}
		again, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil {
			t.Fatalf("%s is no request: %v", input, err)
		}
		body, _ := io.ReadAll(again.Body)
		if again.Method != req.Method || again.Host != req.URL.Host || len(again.Header) > len(req.Header)+2 || int64(len(body)) != req.ContentLength {
			t.Fatalf("%s became %s %s %v %q", input, again.Method, again.Host, again.Header, body)
		}
	})
}
