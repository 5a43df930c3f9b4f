// The judge of protobuf scrapes: what client_golang's own decoder reads of them, as text 0.0.4.
//
// usage: to_text <scrape
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	decoder := expfmt.NewDecoder(os.Stdin, expfmt.FmtProtoDelim)
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			_, err = expfmt.MetricFamilyToText(out, &family)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	out.Flush()
}
