package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/leat-io/leat/internal/kafka"
)

// Meters makes metrics in one registry. Names begin with leat_; labels come
// from closed sets, so that no user can grow them.
type Meters struct{ Registry *prometheus.Registry }

// NewMeters begins with what every process has.
func NewMeters(role string) Meters {
	m := Meters{prometheus.NewRegistry()}
	m.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	b := Build()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "leat_build_info", Help: "1; what runs is in the labels",
		ConstLabels: prometheus.Labels{"role": role, "version": b.Version, "go": b.Go},
	})
	info.Set(1)
	m.Registry.MustRegister(info)
	return m
}

func (m Meters) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.Registry.MustRegister(c)
	if len(labels) == 0 {
		c.WithLabelValues() // so that it is there, at zero, from the start
	}
	return c
}

func (m Meters) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.Registry.MustRegister(g)
	if len(labels) == 0 {
		g.WithLabelValues()
	}
	return g
}

// seconds is a histogram of durations, from a tenth of a millisecond to a minute.
func (m Meters) seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
	}, labels)
	m.Registry.MustRegister(h)
	if len(labels) == 0 {
		h.WithLabelValues()
	}
	return h
}

// sizes is a histogram of counts: powers of four.
func (m Meters) sizes(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(1, 4, 8),
	}, labels)
	m.Registry.MustRegister(h)
	if len(labels) == 0 {
		h.WithLabelValues()
	}
	return h
}

// Kafka observes every Kafka client of the process.
func (m Meters) Kafka() kafka.Observer {
	connects := m.counter("leat_kafka_connects_total", "Connections opened to brokers", "node", "result")
	bytes := m.counter("leat_kafka_bytes_total", "Bytes written to and read from brokers", "node", "direction")
	errors := m.counter("leat_kafka_errors_total", "Requests that failed on the wire", "node", "direction")
	took := m.seconds("leat_kafka_io_seconds", "Time to write a request or read an answer", "direction")
	observe := func(direction string) func(string, int, time.Duration, error) {
		return func(node string, n int, d time.Duration, err error) {
			if err != nil {
				errors.WithLabelValues(node, direction).Inc()
				return
			}
			bytes.WithLabelValues(node, direction).Add(float64(n))
			took.WithLabelValues(direction).Observe(d.Seconds())
		}
	}
	return kafka.Observer{
		Connected: func(node string, err error) {
			result := "ok"
			if err != nil {
				result = "error"
			}
			connects.WithLabelValues(node, result).Inc()
		},
		Written: observe("write"),
		Read:    observe("read"),
	}
}
