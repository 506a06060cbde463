package kafka

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Observer is notified of what every client of this process does on the wire. Nil
// functions are skipped; the others are called from many goroutines.
//
// It stands in for kprom, whose metrics belong to one client and panic when a
// process registers a second one.
type Observer struct {
	Connected func(node string, err error)
	Written   func(node string, bytes int, took time.Duration, err error)
	Read      func(node string, bytes int, took time.Duration, err error)
}

// Hook is what Config.Hooks takes.
func (o Observer) Hook() kgo.Hook { return observer{o} }

type observer struct{ to Observer }

var (
	_ kgo.HookBrokerConnect = observer{}
	_ kgo.HookBrokerWrite   = observer{}
	_ kgo.HookBrokerRead    = observer{}
)

// OnBrokerConnect is kgo's.
func (o observer) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if o.to.Connected != nil {
		o.to.Connected(kgo.NodeName(meta.NodeID), err)
	}
}

// OnBrokerWrite is kgo's.
func (o observer) OnBrokerWrite(meta kgo.BrokerMetadata, _ int16, bytes int, _, took time.Duration, err error) {
	if o.to.Written != nil {
		o.to.Written(kgo.NodeName(meta.NodeID), bytes, took, err)
	}
}

// OnBrokerRead is kgo's. A closed connection is no error of the read.
func (o observer) OnBrokerRead(meta kgo.BrokerMetadata, _ int16, bytes int, _, took time.Duration, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if o.to.Read != nil {
		o.to.Read(kgo.NodeName(meta.NodeID), bytes, took, err)
	}
}
