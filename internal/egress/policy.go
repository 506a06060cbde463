package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// policy is the list of allowed hosts.
type policy []entry

// entry allows one host, or all below a domain, by one scheme on one port.
type entry struct {
	scheme string
	host   string     // lower case, without the star and with the dot of "*.example.com"; "*" for all
	addr   netip.Addr // valid when host is an address
	port   string
}

func newPolicy(allow []string) (policy, error) {
	p := make(policy, 0, len(allow))
	for _, text := range allow {
		e, err := parseEntry(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("allowed host %q: %w", text, err)
		}
		p = append(p, e)
	}
	return p, nil
}

func parseEntry(text string) (entry, error) {
	e := entry{scheme: "https"}
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return e, fmt.Errorf("%q is neither http nor https", scheme)
		}
		e.scheme, text = scheme, rest
	}
	e.host, e.port = text, defaultPort(e.scheme)
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		e.host, e.addr = addr.Unmap().String(), addr.Unmap()
		return e, nil
	}
	if host, port, err := net.SplitHostPort(text); err == nil {
		e.host, e.port = host, port
	}
	if addr, err := netip.ParseAddr(e.host); err == nil {
		e.host, e.addr = addr.Unmap().String(), addr.Unmap()
	}
	e.host = strings.ToLower(e.host)
	if rest, ok := strings.CutPrefix(e.host, "*."); ok {
		e.host = "." + rest
	}
	if len(e.host) > 1 {
		e.host = strings.TrimSuffix(e.host, ".")
	}
	if n, err := strconv.ParseUint(e.port, 10, 16); err != nil || n == 0 {
		return e, fmt.Errorf("%q is not a port", e.port)
	}
	if !e.addr.IsValid() && e.host != "*" && !PlainHost(strings.TrimPrefix(e.host, ".")) {
		return e, errors.New("want a host such as api.example.com, *.example.com or 10.0.0.7:8443, without a path")
	}
	return e, nil
}

// PlainHost reports whether text looks like a DNS name in ASCII.
func PlainHost(text string) bool {
	return text != "" && !strings.HasPrefix(text, ".") && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// allows reports whether something in the policy leads to a URL.
func (p policy) allows(u *url.URL) bool {
	return slices.ContainsFunc(p, func(e entry) bool { return e.matches(u) })
}

// entryFor is what an operator would have to allow for a URL.
func entryFor(u *url.URL) string {
	wanted := u.Hostname()
	if strings.Contains(wanted, ":") {
		wanted = "[" + wanted + "]"
	}
	if port := u.Port(); port != "" && port != defaultPort(u.Scheme) {
		wanted += ":" + port
	}
	if u.Scheme != "https" {
		wanted = u.Scheme + "://" + wanted
	}
	return wanted
}

func (e entry) matches(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	if u.Scheme != e.scheme || port != e.port {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return e.host == "*" || e.addr.IsValid() && e.addr == addr.Unmap()
	}
	if below, ok := strings.CutPrefix(e.host, "."); ok {
		return strings.HasSuffix(host, "."+below)
	}
	return e.host == "*" || e.host == host
}

// names reports whether an entry names the address that is about to be dialed,
// so that it may be a private one.
func (p policy) names(addr netip.AddrPort) bool {
	return slices.ContainsFunc(p, func(e entry) bool {
		return e.addr.IsValid() && e.addr == addr.Addr().Unmap() && e.port == strconv.Itoa(int(addr.Port()))
	})
}

// Origin is scheme, host and port of a URL.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return u.Scheme + "://" + strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) + ":" + port
}
