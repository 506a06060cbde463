package egress

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// What AllowPrivate opens: private networks and this machine, but not
// link-local addresses, where clouds hand out credentials.
var (
	privateV4 = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")
	privateV6 = prefixes("fc00::/7", "::1/128")
)

// metadataV6 are the metadata services that live inside of a private network:
// those of AWS and Google. (The IPv4 ones are link-local.)
var metadataV6 = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254")}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// dialer connects to public addresses only, and to private ones when told so.
// It sees the address after its name was resolved, each time, so that a name
// which changes its mind gains nothing.
func dialer(private bool) *net.Dialer {
	options := []ssrf.Option{ssrf.WithAnyPort()} // the policy says which port
	if private {
		options = append(options, ssrf.WithAllowedV4Prefixes(privateV4...), ssrf.WithAllowedV6Prefixes(privateV6...))
	}
	guard := ssrf.New(options...)
	d := plainDialer()
	d.Control = func(network, address string, conn syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err == nil && slices.Contains(metadataV6, to.Addr()) {
			return fmt.Errorf("%w: %s is a metadata service", ssrf.ErrProhibitedIP, to.Addr())
		}
		return guard.Safe(network, address, conn)
	}
	return d
}

func plainDialer() *net.Dialer { return &net.Dialer{Timeout: 10 * time.Second} }

// newTransport dials addresses that named knows without the guard: the operator
// wrote them down. No proxy: it would do the dialing, and nothing would check it.
func newTransport(guarded *net.Dialer, named func(netip.AddrPort) bool, c *Config) *http.Transport {
	plain := plainDialer()
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if to, err := netip.ParseAddrPort(address); err == nil && named != nil && named(to) {
				return plain.DialContext(ctx, network, address)
			}
			return guarded.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    c.IdlePerHost,
		IdleConnTimeout:        c.IdleTime,
		DisableCompression:     c.Uncompressed,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}
