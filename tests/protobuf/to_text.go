// The judge of protobuf scrapes: what client_golang's own decoder reads of them, as text 0.0.4. With an argument, of
// native histograms: name, schema, zero threshold, zero count, then each span with its deltas.
//
// usage: to_text [native] <scrape; or as observe.go says
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const contentType = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if len(os.Args) > 1 && os.Args[1] == "observe" {
		observe(out)
		return
	}
	// By the name that its versions have in common.
	header := http.Header{"Content-Type": {contentType}}
	decoder := expfmt.NewDecoder(os.Stdin, expfmt.ResponseFormat(header))
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(os.Args) > 1 {
			tellNative(out, &family)
		} else if err == nil {
			_, err = expfmt.MetricFamilyToText(out, &family)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func tellNative(out io.Writer, family *dto.MetricFamily) {
	for _, metric := range family.Metric {
		histogram := metric.GetHistogram()
		if histogram == nil || histogram.Schema == nil {
			continue
		}
		fmt.Fprint(out, family.GetName(), " ", histogram.GetSchema(), " ", histogram.GetZeroThreshold(), " ",
			histogram.GetZeroCount())
		deltas := histogram.PositiveDelta
		for _, span := range histogram.PositiveSpan {
			fmt.Fprint(out, " ", span.GetOffset(), ":", deltas[:span.GetLength()])
			deltas = deltas[span.GetLength():]
		}
		fmt.Fprintln(out, " left", len(deltas))
	}
}
