package metrics

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "ws_gateway"

// Registry holds every collector of the process. Safe for concurrent use.
type Registry struct{ reg *prometheus.Registry }

// Version is the gateway's version, shown in the metric build_info.
type Version string

// New makes a registry with the collectors of the Go runtime, of the process,
// and of build information.
func New(version Version) *Registry {
	r := &Registry{prometheus.NewRegistry()}
	r.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the gateway's version.",
		ConstLabels: prometheus.Labels{"version": string(version)},
	}, func() float64 { return 1 }))
	return r
}

// Handler serves the metrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Collector makes metrics of a snapshot. Its rows are fixed; read fills one
// value per row from one snapshot, so that values of a scrape fit together.
type Collector struct {
	rows []row
	read func(set func(value float64))
}

var _ prometheus.Collector = (*Collector)(nil)

type row struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	label string // value of the one label, "" without
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	var last *prometheus.Desc
	for _, r := range c.rows {
		if r.desc != last {
			ch <- r.desc
			last = r.desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	i := 0
	c.read(func(value float64) {
		r := c.rows[i]
		i++
		if r.label == "" {
			ch <- prometheus.MustNewConstMetric(r.desc, r.kind, value)
			return
		}
		ch <- prometheus.MustNewConstMetric(r.desc, r.kind, value, r.label)
	})
}

func (c *Collector) gauge(name, help string) { c.add(prometheus.GaugeValue, name, help, "", nil) }

func (c *Collector) counter(name, help string) { c.add(prometheus.CounterValue, name, help, "", nil) }

// gauges is one metric with one label and its values, in this order.
func (c *Collector) gauges(name, help, label string, values ...string) {
	c.add(prometheus.GaugeValue, name, help, label, values)
}

// counters is one metric with one label and its values, in this order.
func (c *Collector) counters(name, help, label string, values ...string) {
	c.add(prometheus.CounterValue, name, help, label, values)
}

func (c *Collector) add(kind prometheus.ValueType, name, help, label string, values []string) {
	full := prometheus.BuildFQName(namespace, "", name)
	if strings.HasPrefix(name, "websocket_") { // known without the namespace
		full = name
	}
	if label == "" {
		c.rows = append(c.rows, row{prometheus.NewDesc(full, help, nil, nil), kind, ""})
		return
	}
	desc := prometheus.NewDesc(full, help, []string{label}, nil)
	for _, v := range values {
		c.rows = append(c.rows, row{desc, kind, v})
	}
}
