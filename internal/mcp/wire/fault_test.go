package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faults is a modern server whose tools fail each in its own way. It counts what
// it ran: an effect that happened twice is the worst that can come of a fault.
type faults struct {
	*httptest.Server

	mu    sync.Mutex
	ran   map[string]int // by tool
	seen  map[string]int // requests, by tool
	meta  map[string]json.RawMessage
	token map[string]string // header Authorization, by tool

	release chan struct{} // closed: slow calls may end
	arrived atomic.Int64  // slow calls that wait
	lists   atomic.Int64
}

type faultRequest struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		Meta      json.RawMessage `json:"_meta"`
		TaskID    string          `json:"taskId"`
	} `json:"params"`
}

// fault is what a tool does with a call; ran says that it had its effect before.
type fault struct {
	ran bool
	do  func(w http.ResponseWriter, r *http.Request, id json.RawMessage, f *faults)
}

func newFaults(t *testing.T) *faults {
	t.Helper()
	f := &faults{
		ran: map[string]int{}, seen: map[string]int{}, meta: map[string]json.RawMessage{}, token: map[string]string{}, release: make(chan struct{}),
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var q faultRequest
	if err != nil || json.Unmarshal(body, &q) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	switch q.Method {
	case "server/discover":
		answer(w, q.ID, `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}`)
	case "tools/list":
		f.lists.Add(1)
		answer(w, q.ID, `{"resultType":"complete","tools":[`+strings.Join(faultTools(), ",")+`],"ttlMs":5000,"cacheScope":"public"}`)
	case "tools/call":
		c, ok := httpFaults[q.Params.Name]
		if !ok {
			answerError(w, http.StatusOK, q.ID, rpcInvalidParams, "unknown tool")
			return
		}
		f.mu.Lock()
		f.seen[q.Params.Name]++
		if c.ran {
			f.ran[q.Params.Name]++
		}
		f.meta[q.Params.Name], f.token[q.Params.Name] = q.Params.Meta, r.Header.Get("Authorization")
		f.mu.Unlock()
		c.do(w, r, q.ID, f)
	default:
		answerError(w, http.StatusNotFound, q.ID, rpcMethodNotFound, "no such method")
	}
}

func (f *faults) counts(tool string) (seen, ran int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[tool], f.ran[tool]
}

func faultTools() (out []string) {
	for name := range httpFaults {
		out = append(out, fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name))
	}
	return out
}

func answer(w http.ResponseWriter, id json.RawMessage, result string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

func answerError(w http.ResponseWriter, status int, id json.RawMessage, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%q}}`, id, code, text)
}

// stream begins a stream of events and returns what writes one.
func stream(w http.ResponseWriter) func(text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return func(text string) {
		_, _ = io.WriteString(w, text)
		w.(http.Flusher).Flush()
	}
}

func dataEvent(id json.RawMessage, result string) string {
	return fmt.Sprintf("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", id, result)
}

func progressEvent(token any, done float64) string {
	return fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":%v,\"progress\":%v,\"total\":9}}\n\n", token, done)
}

const textResult = `{"resultType":"complete","content":[{"type":"text","text":"done"}]}`

// hijack takes the connection away from net/http.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// reset ends a connection as a machine does that lost its power.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func status(code int, header ...string) fault {
	return fault{do: func(w http.ResponseWriter, _ *http.Request, _ json.RawMessage, _ *faults) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<html>"+strings.Repeat("no ", 100)+"</html>")
	}}
}

func rpc(httpStatus, code int) fault {
	return fault{ran: code > -32020 || code < -32022, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		answerError(w, httpStatus, id, code, "no")
	}}
}

func result(text string) fault {
	return fault{ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) { answer(w, id, text) }}
}

// until writes text every few milliseconds for as long as the client listens.
func until(r *http.Request, every time.Duration, write func(n int)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			write(n)
		}
	}
}

var httpFaults = map[string]fault{
	"fine": result(textResult),
	"stream": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		stream(w)(dataEvent(id, textResult))
	}},
	"slow": {ran: true, do: func(w http.ResponseWriter, r *http.Request, id json.RawMessage, f *faults) {
		f.arrived.Add(1)
		select {
		case <-f.release:
			answer(w, id, textResult)
		case <-r.Context().Done():
		}
	}},
	"400": status(400), "401": status(401), "403": status(403), "404": status(404), "413": status(413), "500": status(500), "502": status(502),
	"429 later": status(429, "Retry-After", "7"), "429": status(429), "503 later": status(503, "Retry-After", "7"), "503": status(503),
	"302 away": status(302, "Location", "http://169.254.169.254/"), "307 away": status(307, "Location", "http://169.254.169.254/"), "202": status(202),
	"header mismatch": rpc(400, rpcHeaderMismatch), "capability": rpc(400, rpcMissingClient), "revision": rpc(400, rpcUnsupported),
	"invalid params": rpc(200, rpcInvalidParams), "internal": rpc(200, rpcInternal), "code 0": rpc(200, 0), "internal 500": rpc(500, rpcInternal),
	"is error":     result(`{"resultType":"complete","content":[],"isError":true}`),
	"unknown type": result(`{"resultType":"later","content":[]}`), "task": result(`{"resultType":"task","taskId":"t","status":"working"}`),
	"no content": result(`{"resultType":"complete"}`), "no object": result(`7`), "empty question": result(`{"resultType":"input_required"}`),
	"sampling":     result(`{"resultType":"input_required","inputRequests":{"a":{"method":"sampling/createMessage","params":{}}}}`),
	"exact number": result(`{"content":[],"structuredContent":{"n":9007199254740993,"f":1.10,"e":1E+2}}`),
	"truncated": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[`, id)
	}},
	"cut off": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		conn := hijack(w)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":%s", id)
		_ = conn.Close()
	}},
	"garbage": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, _ json.RawMessage, _ *faults) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte{0xff, 0xfe, '{'})
	}},
	"html": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, _ json.RawMessage, _ *faults) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>welcome</html>")
	}},
	"reset": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, _ json.RawMessage, _ *faults) { reset(hijack(w)) }},
	"closed": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, _ json.RawMessage, _ *faults) {
		_ = hijack(w).Close()
	}},
	"stream cut": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		stream(w)("id: 1\n" + strings.TrimSuffix(dataEvent(id, textResult), "\n"))
	}},
	"large": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"`, id)
		for range 50 << 4 {
			if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"}]}}`)
	}},
	"large stream": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		write := stream(w)
		write(fmt.Sprintf(`data: {"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"`, id))
		for range 50 << 4 {
			if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
				return
			}
		}
		write("\"}]}}\n\n")
	}},
	"a bit large": result(`{"content":[{"type":"text","text":"` + strings.Repeat("x", testLimit) + `"}]}`),
	"for another": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, _ json.RawMessage, _ *faults) {
		answer(w, json.RawMessage("999999"), textResult)
	}},
	"strays": {ran: true, do: func(w http.ResponseWriter, _ *http.Request, id json.RawMessage, _ *faults) {
		write := stream(w)
		write(dataEvent(json.RawMessage("999999"), textResult))
		write("data: noise\n\n: comment\n\n")
		write(`data: {"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}` + "\n\n")
		write(dataEvent(id, textResult))
		write(dataEvent(id, `{"content":[{"type":"text","text":"again"}]}`))
	}},
	"silent": {ran: true, do: func(_ http.ResponseWriter, r *http.Request, _ json.RawMessage, _ *faults) { <-r.Context().Done() }},
	"comments": {ran: true, do: func(w http.ResponseWriter, r *http.Request, _ json.RawMessage, _ *faults) {
		write := stream(w)
		until(r, time.Millisecond, func(int) { write(": " + strings.Repeat("alive ", 100) + "\n\n") })
	}},
	"still": {ran: true, do: func(w http.ResponseWriter, r *http.Request, id json.RawMessage, _ *faults) {
		write := stream(w)
		until(r, 5*time.Millisecond, func(int) { write(progressEvent(string(id), 1)) })
	}},
	"another's": {ran: true, do: func(w http.ResponseWriter, r *http.Request, _ json.RawMessage, _ *faults) {
		write := stream(w)
		until(r, 5*time.Millisecond, func(n int) { write(progressEvent(999999, float64(n))) })
	}},
	"rising": {ran: true, do: func(w http.ResponseWriter, r *http.Request, id json.RawMessage, _ *faults) {
		write := stream(w)
		until(r, 20*time.Millisecond, func(n int) { write(progressEvent(string(id), float64(n))) })
	}},
	"busy": {ran: true, do: func(w http.ResponseWriter, r *http.Request, id json.RawMessage, _ *faults) {
		write := stream(w)
		ctx, cancel := context.WithTimeout(r.Context(), 10*testIdle)
		defer cancel()
		until(r.WithContext(ctx), testIdle/4, func(n int) { write(progressEvent(string(id), float64(n))) })
		write(dataEvent(id, textResult))
	}},
}

const (
	testLimit = 64 << 10
	testIdle  = 400 * time.Millisecond
)
