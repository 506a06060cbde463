package listen

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/problem"
)

// bodyTime is how long a request's body may take, on every route. The API
// allows less, and a client that has more to say is not one of ours.
const bodyTime = 10 * time.Second

// front wraps every handler. It refuses names that are not ours and
// ends bodies that do not.
type front struct {
	next  http.Handler
	known func(host string) bool
}

func (f front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.known(r.Host) {
		refuseHost(w)
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		// A handler that reads the body may set a shorter one. An unread body is read by
		// the server, which must not wait for ever either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	}
	f.next.ServeHTTP(w, r)
}

// refuseHost says nothing of what was asked: a stranger may show it.
func refuseHost(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusMisdirectedRequest)
	known := problem.Describe(problem.ForeignHost)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "urn:leat:problem:" + string(problem.ForeignHost), "status": http.StatusMisdirectedRequest, "code": problem.ForeignHost,
		"title":  known.Title,
		"detail": "this address listens on loopback and answers only to loopback names; a web page may have given its own name our address",
		"fix":    known.Fix,
	})
}

// knownHosts says which Host a listener answers to. One on loopback answers to
// loopback names, as a page of a stranger can let its own name mean 127.0.0.1
// and is then of our origin. Others answer to any, until names are configured:
// what they are called is known to who runs them.
func knownHosts(addr net.Addr, names []string) func(string) bool {
	loopback := Loopback(addr.String())
	named := make([]string, 0, len(names))
	for _, n := range names {
		named = append(named, hostOf(n))
	}
	return func(header string) bool {
		host := hostOf(header)
		ip, err := netip.ParseAddr(host)
		switch {
		case slices.Contains(named, host) && host != "":
			return true
		case host == "localhost" || err == nil && ip.Unmap().IsLoopback():
			return true
		case loopback:
			return false
		default: // an address is not a name, so that no page can have it as its own
			return len(named) == 0 || err == nil
		}
	}
}

// hostOf is the host of "host", "host:port" and "[::1]:port", in lower case and
// without the dot that ends a full name.
func hostOf(text string) string {
	host, _, err := net.SplitHostPort(text)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// Loopback reports whether an address to listen on reaches this machine only.
func Loopback(addr string) bool {
	host := hostOf(addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
