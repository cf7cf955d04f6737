package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/moonx-farm/ws-gateway/internal/monitor"
)

// Monitor registers how often operations happen and how long they take: as
// native histograms, and with a few classic buckets for scrapers of text.
func (r *Registry) Monitor(m *monitor.Monitor) {
	r.reg.MustRegister(&operations{
		m:     m,
		total: prometheus.NewDesc(namespace+"_operations_total", "Operations, timed or not.", []string{"operation"}, nil),
		took: prometheus.NewDesc(namespace+"_operation_duration_seconds",
			"How long operations took; where one in n was timed, it counts n times.", []string{"operation"}, nil),
	})
}

type operations struct {
	m           *monitor.Monitor
	total, took *prometheus.Desc
}

var _ prometheus.Collector = (*operations)(nil)

// Describe implements prometheus.Collector.
func (o *operations) Describe(ch chan<- *prometheus.Desc) { ch <- o.total; ch <- o.took }

// Collect implements prometheus.Collector.
func (o *operations) Collect(ch chan<- prometheus.Metric) {
	for _, op := range monitor.Ops() {
		ch <- prometheus.MustNewConstMetric(o.total, prometheus.CounterValue, float64(o.m.Count(op)), op.String())
		h := o.m.Total(op)
		native, err := prometheus.NewConstNativeHistogram(o.took, uint64(h.Count), h.Sum.Seconds(), //nolint:gosec // counts
			h.Buckets, nil, 0, monitor.Schema, zeroThreshold, o.m.Started(), op.String())
		if err != nil {
			ch <- prometheus.NewInvalidMetric(o.took, err)
			continue
		}
		ch <- both{native, h}
	}
}

// zeroThreshold is that of histograms without a zero bucket of their own.
const zeroThreshold = 1e-128

// both is a native histogram with classic buckets besides.
type both struct {
	prometheus.Metric
	h monitor.Histogram
}

// The classic buckets end at powers of 4, from 4 µs to 64 s: about.
const (
	firstBound = -18 // 2^-18 s
	lastBound  = 6
	boundStep  = 2
)

// Write implements prometheus.Metric.
func (b both) Write(out *dto.Metric) error {
	if err := b.Metric.Write(out); err != nil {
		return err
	}
	for exp := firstBound; exp <= lastBound; exp += boundStep {
		bound, below := math.Exp2(float64(exp)), uint64(0)
		for key, n := range b.h.Buckets {
			if key <= exp<<monitor.Schema {
				below += uint64(n) //nolint:gosec // a count
			}
		}
		out.Histogram.Bucket = append(out.Histogram.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &below})
	}
	return nil
}
