//go:build unix

package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asServer makes the test binary an MCP server on its standard streams: the value
// is its revision, or "silent".
const asServer = "LEAT_TEST_MCP_SERVER"

// asHolder makes it a process that keeps a connection to the script it names.
const asHolder = "LEAT_TEST_MCP_HOLDER"

func TestMain(m *testing.M) {
	if script, ok := os.LookupEnv(asHolder); ok {
		_, err := Open(context.Background(), Target{ID: "s", Command: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}, Options{})
		fmt.Println(err)
		select {} // until it is killed
	}
	if how, ok := os.LookupEnv(asServer); ok {
		(&pipeServer{how: how, release: make(chan struct{}), both: make(chan struct{})}).serve()
		return
	}
	os.Exit(m.Run())
}

// pipeServer is a server whose tools fail each in its own way.
type pipeServer struct {
	how     string
	release chan struct{}
	out     sync.Mutex
	waits   sync.Map // of questions, by id: chan json.RawMessage
	ids     atomic.Int64

	together atomic.Int64 // calls that ask at the same time
	both     chan struct{}
}

func (s *pipeServer) say(text string) {
	s.out.Lock()
	defer s.out.Unlock()
	fmt.Println(text)
}

func (s *pipeServer) answer(id json.RawMessage, result string) {
	s.say(fmt.Sprintf(`{"result":%s,"jsonrpc":"2.0","id":%s}`, result, id)) // the id behind, as the reference servers write it
}

func (s *pipeServer) serve() {
	if s.how == "dies" {
		fmt.Fprintln(os.Stderr, "no licence for "+os.Getenv("TOKEN"))
		os.Exit(3)
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var q struct {
			faultRequest
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		if json.Unmarshal(in.Bytes(), &q) != nil {
			continue
		}
		switch q.Method {
		case "":
			if wait, ok := s.waits.Load(string(q.ID)); ok {
				answer := q.Result
				if answer == nil {
					answer = q.Error
				}
				wait.(chan json.RawMessage) <- answer
			}
		case "server/discover":
			switch s.how {
			case "silent":
			case "modern":
				s.answer(q.ID, `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`)
			default:
				s.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, q.ID))
			}
		case "initialize":
			s.answer(q.ID, `{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"test","version":"1"}}`)
		case "ping":
			s.answer(q.ID, `{}`)
		case "tools/list":
			s.answer(q.ID, `{"tools":[{"name":"fine","inputSchema":{"type":"object"}}]}`)
		case "tools/call":
			go s.call(q.faultRequest)
		}
	}
}

func (s *pipeServer) call(q faultRequest) {
	switch q.Params.Name {
	case "fine":
		s.answer(q.ID, textResult)
	case "environment":
		text, _ := json.Marshal(os.Environ())
		s.answer(q.ID, `{"content":[],"structuredContent":`+string(text)+`}`)
	case "slow":
		s.say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + string(q.ID) + `,"progress":1}}`)
		<-s.release
		s.answer(q.ID, textResult)
	case "release":
		close(s.release)
		s.answer(q.ID, textResult)
	case "noise":
		s.say("Listening on stdio…\n\nDEBUG {\"level\":1}\n[]\n\"text\"\n{}\n\xff\xfe")
		s.answer(q.ID, textResult)
	case "long line":
		s.answer(q.ID, `{"content":[{"type":"text","text":"`+strings.Repeat(`{\"id\":7} `, 4<<20)+`"}]}`)
	case "a bit long":
		s.answer(q.ID, `{"content":[{"type":"text","text":"`+strings.Repeat("x", testLimit+envelope)+`"}]}`)
	case "twice":
		s.answer(json.RawMessage("424242"), textResult)
		s.answer(q.ID, textResult)
		s.answer(q.ID, `{"content":[{"type":"text","text":"again"}]}`)
	case "complains":
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); { // as fast as it can: far over 1 MB a second
			fmt.Fprintln(os.Stderr, strings.Repeat("e", 4096))
		}
		s.answer(q.ID, textResult)
	case "dies":
		fmt.Fprintln(os.Stderr, "out of memory, token "+os.Getenv("TOKEN"))
		os.Exit(7)
	case "closes":
		_ = os.Stdout.Close()
	case "late":
		// no answer; then one when nobody waits any more
		<-s.release
		s.answer(q.ID, textResult)
	case "asks together":
		if s.together.Add(1) == 2 {
			close(s.both)
		}
		<-s.both
		fallthrough
	case "asks":
		id := strconv.FormatInt(1000+s.ids.Add(1), 10)
		wait := make(chan json.RawMessage, 1)
		s.waits.Store(id, wait)
		s.say(`{"jsonrpc":"2.0","id":` + id + `,"method":"elicitation/create","params":{"message":"sure?","requestedSchema":{"type":"object","properties":{}}}}`)
		s.answer(q.ID, `{"content":[],"structuredContent":`+string(<-wait)+`}`)
	case "asks too much":
		id := strconv.FormatInt(1000+s.ids.Add(1), 10)
		wait := make(chan json.RawMessage, 1)
		s.waits.Store(id, wait)
		s.say(`{"jsonrpc":"2.0","id":` + id + `,"method":"sampling/createMessage","params":{}}`)
		s.answer(q.ID, `{"content":[],"structuredContent":`+string(<-wait)+`}`)
	case "changes":
		s.say(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		s.answer(q.ID, textResult)
	}
}

const testToken = "a-token-that-is-secret"

func pipeTarget(how string) Target {
	return Target{ID: "pipe", Command: []string{os.Args[0]}, Env: []string{asServer + "=" + how, "TOKEN=" + testToken}}
}

// slowCalls are bystanders on a pipe: they are in flight until release is called.
func slowCalls(t *testing.T, c *Conn) (finish func()) {
	t.Helper()
	var work sync.WaitGroup
	var arrived, fine atomic.Int64
	for range 8 {
		work.Go(func() {
			_, err := c.Call(context.Background(), &Call{Tool: named(t, "slow"), Progress: func(Progress) { arrived.Add(1) }})
			if err != nil {
				t.Errorf("a bystander: %v", err)
				return
			}
			fine.Add(1)
		})
	}
	eventually(t, "the bystanders do not arrive", func() bool { return arrived.Load() == 8 })
	return func() {
		t.Helper()
		if _, err := c.Call(context.Background(), &Call{Tool: named(t, "release")}); err != nil {
			t.Errorf("release: %v", err)
		}
		work.Wait()
		if fine.Load() != 8 {
			t.Errorf("%d of 8 bystanders were answered", fine.Load())
		}
	}
}

// On a pipe all calls share one stream; what comes wrong for one still harms no
// other.
func TestEvidenceOverPipes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   string
		limits Limits
		stats  Stats
	}{
		"fine": {}, "noise": {stats: Stats{Noise: 6}}, "twice": {stats: Stats{Strays: 2}}, "complains": {},
		"long line": {code: CodeTooLarge}, "a bit long": {code: CodeTooLarge},
		"late": {code: CodeTimeout, limits: Limits{Idle: testIdle}, stats: Stats{Strays: 1}},
		"asks": {}, "asks too much": {}, "changes": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := open(t, pipeTarget("legacy"), testOptions())
			finish := slowCalls(t, conn)
			_, err := conn.Call(t.Context(), &Call{Tool: named(t, name), Limits: c.limits})
			if c.code == "" && err != nil {
				t.Errorf("got %v", err)
			} else if c.code != "" {
				if got := failureOf(t, err); got.Code != c.code || got.Evidence != Unknown {
					t.Errorf("got %s, %s: %v", got.Code, got.Evidence, err)
				}
			}
			finish()
			if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")}); err != nil {
				t.Errorf("the connection is of no use any more: %v", err)
			}
			eventually(t, "what came for nobody is not counted", func() bool {
				got := conn.Stats()
				return got.Noise == c.stats.Noise && got.Strays == c.stats.Strays && got.Restarts == 0
			})
		})
	}
}

// A process that dies takes what it was doing along: of that nobody knows how far
// it came. The next call finds a new process.
func TestProcessDies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dies", "closes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := open(t, pipeTarget("legacy"), testOptions())
			_, err := conn.Call(t.Context(), &Call{Tool: named(t, name)})
			got := failureOf(t, err)
			if got.Code != CodeUnavailable || got.Evidence != Unknown {
				t.Errorf("got %s, %s: %v", got.Code, got.Evidence, err)
			}
			if strings.Contains(err.Error(), testToken) {
				t.Errorf("the secret is in the error: %v", err)
			}
			if name == "dies" && (!strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "out of memory")) {
				t.Errorf("the error does not say how it ended: %v", err)
			}
			eventually(t, "it is not started again", func() bool {
				_, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")})
				var f *Failure
				if errors.As(err, &f) && (f.Evidence != NotSent || f.RetryAfter <= 0) {
					t.Fatalf("got %v", err)
				}
				return err == nil
			})
		})
	}
}

// What always dies is started less and less often, and says why.
func TestRestartsBackOff(t *testing.T) {
	t.Parallel()
	l := &pipeLink{conn: &Conn{opts: Options{}.withDefaults()}}
	for n := 1; n < 20; n++ {
		l.died(nil, "no licence")
		_, f := l.mayStart()
		want := min(restartLeast<<(n-1), restartMost)
		if f == nil || f.RetryAfter > want || f.RetryAfter < want-time.Second || f.Evidence != NotSent {
			t.Fatalf("after death %d: %+v", n, f)
		}
	}
	_, err := Open(t.Context(), pipeTarget("dies"), testOptions())
	if got := failureOf(t, err); got.Evidence != NotSent || !strings.Contains(err.Error(), "no licence for ***") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), Target{ID: "x", Command: []string{"no-such-command"}}, testOptions()); failureOf(t, err).Code != CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

// A process sees what the operator gave it, and nothing else.
func TestEnvironmentIsTheGivenOne(t *testing.T) {
	conn := open(t, pipeTarget("modern"), testOptions())
	a, err := conn.Call(t.Context(), &Call{Tool: named(t, "environment")})
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	if err := json.Unmarshal(a.(*Result).Structured, &env); err != nil {
		t.Fatal(err)
	}
	for _, entry := range env {
		if !strings.HasPrefix(entry, asServer+"=") && !strings.HasPrefix(entry, "TOKEN=") {
			t.Errorf("it also sees %s", entry)
		}
	}
}

// Which generation it is, is found out without calling anything; who is silent for
// two seconds is legacy.
func TestEras(t *testing.T) {
	t.Parallel()
	for how, era := range map[string]Era{"modern": EraModern, "legacy": EraLegacy, "silent": EraLegacy} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			conn := open(t, pipeTarget(how), testOptions())
			s, err := conn.Server(t.Context())
			if err != nil || s.Era != era {
				t.Errorf("got %+v, %v", s, err)
			}
			if took := time.Since(began); how == "silent" && (took < probeTime || took > probeTime+10*time.Second) {
				t.Errorf("it took %v", took)
			}
			if err := conn.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestToolsChangeOnAPipe(t *testing.T) {
	t.Parallel()
	options := testOptions()
	changed := make(chan struct{}, 16)
	options.Changed = func() { changed <- struct{}{} }
	conn := open(t, pipeTarget("legacy"), options)
	eventually(t, "nobody listens", func() bool { l := conn.link.(*pipeLink); l.mu.Lock(); defer l.mu.Unlock(); return l.changed != nil })
	if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "changes")}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Error("the change is not told")
	}
}

// A question waits, however long, and its answer finds the call. Meanwhile other
// calls go on.
func TestQuestionsOnAPipe(t *testing.T) {
	t.Parallel()
	options := testOptions()
	options.Elicitation = true
	conn := open(t, pipeTarget("legacy"), options)
	finish := slowCalls(t, conn) // it cannot be known who asks, until these are done
	asking := make(chan Answer, 1)
	go func() {
		a, err := conn.Call(t.Context(), &Call{Tool: named(t, "asks"), Limits: Limits{Idle: testIdle * 20, Call: time.Minute}})
		if err != nil {
			t.Error(err)
		}
		asking <- a
	}()
	eventually(t, "it does not ask", func() bool {
		p := conn.link.(*pipeLink).live
		p.calls.mu.Lock()
		defer p.calls.mu.Unlock()
		return len(p.calls.questions) == 1
	})
	finish()
	q, ok := (<-asking).(*Questions)
	if !ok || len(q.Asked) != 1 || q.Asked["1"].Message != "sure?" || q.Held == "" {
		t.Fatalf("got %+v", q)
	}
	if s := conn.Stats(); s.Held != 1 {
		t.Errorf("got %+v", s)
	}
	a, err := conn.Continue(t.Context(), q.Held, map[string]Reply{"1": {Action: "accept", Content: json.RawMessage(`{"yes":true}`)}}, &Call{})
	if err != nil || string(a.(*Result).Structured) != `{"action":"accept","content":{"yes":true}}` {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := conn.Continue(t.Context(), q.Held, nil, nil); failureOf(t, err).Evidence != Unknown {
		t.Errorf("answered twice: %v", err)
	}
}

// Two that ask at the same time cannot be told apart: nobody is asked for another.
func TestTwoWhoAskOnAPipe(t *testing.T) {
	t.Parallel()
	options := testOptions()
	options.Elicitation = true
	conn := open(t, pipeTarget("legacy"), options)
	finish := slowCalls(t, conn)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			a, err := conn.Call(t.Context(), &Call{Tool: named(t, "asks together")})
			if r, ok := a.(*Result); err != nil || !ok || !strings.Contains(string(r.Structured), "cannot tell which call asks") {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	eventually(t, "they do not ask", func() bool {
		p := conn.link.(*pipeLink).live
		p.calls.mu.Lock()
		defer p.calls.mu.Unlock()
		return len(p.calls.questions) == 2
	})
	finish()
	work.Wait()
}

// stubborn is a server that ends at no signal, with a child of the same kind, which
// writes to a file for as long as it lives.
func stubborn(file string) string {
	return `trap '' TERM HUP INT; (trap '' TERM HUP INT; while :; do echo x >> ` + file + `; sleep 0.01; done) &
read first
printf '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{}}}\n'
while :; do sleep 0.1; done`
}

// stands waits until nobody writes to a file any more.
func stands(t *testing.T, file string) {
	t.Helper()
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return -1
		}
		return info.Size()
	}
	last, still := int64(-2), time.Now()
	eventually(t, "the child goes on", func() bool {
		if now := size(); now != last {
			last, still = now, time.Now()
		}
		return time.Since(still) > 500*time.Millisecond
	})
}

// Whatever ends this process ends the servers that it runs, and their children.
func TestKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "child")
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), asHolder+"="+stubborn(file))
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "<nil>\n" {
		t.Fatal(line, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	_ = holder.Wait()
	stands(t, file)
	if took := time.Since(killed); took > 6*time.Second { // 5 s, and half a second to see it
		t.Errorf("it took %v", took)
	}
}

// Nobody waits for a process that does not end when it is asked, or for its
// children.
func TestCloseEndsTheGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "child")
	conn, err := Open(t.Context(), Target{ID: "s", Command: []string{"/bin/sh", "-c", stubborn(file)}, Env: []string{"PATH=" + os.Getenv("PATH")}}, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	stands(t, file)
}

// The call that waits to be written to a process that does not read was not sent.
func TestProcessDoesNotRead(t *testing.T) {
	t.Parallel()
	script := `read first
printf '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{}}}\n'
while :; do sleep 1; done`
	conn := open(t, Target{ID: "s", Command: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}, testOptions())
	big := json.RawMessage(`{"a":"` + strings.Repeat("x", 4<<20) + `"}`)
	var work sync.WaitGroup
	evidence := make([]Evidence, 3)
	for i := range evidence {
		work.Go(func() {
			_, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine"), Arguments: big, Limits: Limits{Idle: 10 * testIdle}}) // time enough to begin to write
			evidence[i] = failureOf(t, err).Evidence
		})
	}
	work.Wait()
	unknown := 0
	for _, e := range evidence {
		if e == Unknown {
			unknown++
		}
	}
	if unknown != 1 { // that which is being written; behind it nothing was
		t.Errorf("got %v", evidence)
	}
}
