// What client_golang's own native histogram of a factor and a zero threshold has of values on standard input.
//
// usage: to_text observe FACTOR ZERO_THRESHOLD <values
package main

import (
	"bufio"
	"io"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return value
}

func observe(out io.Writer) {
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h",
		NativeHistogramBucketFactor: number(os.Args[2]), NativeHistogramZeroThreshold: number(os.Args[3])})
	values := bufio.NewScanner(os.Stdin)
	for values.Scan() {
		histogram.Observe(number(values.Text()))
	}
	var metric dto.Metric
	if err := histogram.Write(&metric); err != nil {
		panic(err)
	}
	name := "h"
	tellNative(out, &dto.MetricFamily{Name: &name, Metric: []*dto.Metric{&metric}})
}
