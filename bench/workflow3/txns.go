package workflow3

import (
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/bench/rig"
)

// txns counts transactions.
type txns struct {
	count, commands int64
	took            time.Duration
}

func (t txns) plus(o txns) txns {
	return txns{t.count + o.count, t.commands + o.commands, t.took + o.took}
}

func (t txns) minus(o txns) txns {
	return txns{t.count - o.count, t.commands - o.commands, t.took - o.took}
}

func (t txns) batch() float64 { return rig.Digits(float64(t.commands)/float64(t.count), 1) }

// commit is how long a transaction took on average, in milliseconds.
func (t txns) commit() float64 {
	return rig.Digits(float64(t.took.Microseconds())/1000/float64(t.count), 2)
}

// txnCounter counts while others read.
type txnCounter struct{ count, commands, took atomic.Int64 }

func (c *txnCounter) committed(commands int, took time.Duration) {
	c.count.Add(1)
	c.commands.Add(int64(commands))
	c.took.Add(int64(took))
}

func (c *txnCounter) read() txns {
	return txns{c.count.Load(), c.commands.Load(), time.Duration(c.took.Load())}
}
