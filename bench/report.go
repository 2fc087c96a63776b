package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/test/kafka"
)

// write makes the report: medians, ratios to the bare loop and to the ideal,
// and every single value.
func write(o options, chosen []scenario, results map[string][]figures) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark results\n\n%s. %s.\n\n", machine(), time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "Made by `%s`. Workers, Apache Kafka (one node, replication 1) and the load share the machine, so only ratios within one run mean much elsewhere. Rates and processor time are taken between the 10th and the 90th percentile of the `sent` events. Figures are medians of %d runs.\n\n", command(o), o.runs)
	b.WriteString("| scenario | figures | against |\n|---|---|---|\n")
	for _, s := range chosen {
		m := medians(results[s.name])
		fmt.Fprintf(&b, "| **%s**: %s | %s | %s |\n", s.name, s.title, m, against(s, m, medians(results["raw"]), medians(results[s.name+before])))
	}
	b.WriteString("\n## Every run\n\n| scenario | figure | runs |\n|---|---|---|\n")
	for _, s := range chosen {
		for _, name := range slices.Sorted(maps.Keys(medians(results[s.name]))) {
			var values []string
			for _, f := range results[s.name] {
				values = append(values, number(f[name]))
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.name, name, strings.Join(values, " · "))
		}
	}
	return b.String()
}

// against compares a scenario to the ideal, or else to the bare loop, and to
// the other build.
func against(s scenario, m, bare, other figures) string {
	var parts []string
	switch {
	case s.ideal > 0:
		parts = append(parts, fmt.Sprintf("%.3f of the ideal %s/s", m[perSecond]/s.ideal, number(s.ideal)))
	case s.name != "raw" && m[perSecond] > 0 && bare[perSecond] > 0:
		parts = append(parts, fmt.Sprintf("%.2f of the bare loop's rate, %.1f times its processor time", m[perSecond]/bare[perSecond], m[micros]/bare[micros]))
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if other[name] != 0 {
			parts = append(parts, fmt.Sprintf("%.2f of the other build's %s", m[name]/other[name], name))
		}
	}
	return strings.Join(parts, "; ")
}

// medians returns the median of each figure.
func medians(runs []figures) figures {
	m := figures{}
	for _, f := range runs {
		for name := range f {
			var values []float64
			for _, other := range runs {
				values = append(values, other[name])
			}
			slices.Sort(values)
			m[name] = values[len(values)/2]
		}
	}
	return m
}

func command(o options) string {
	text := fmt.Sprintf("go run ./bench -runs %d", o.runs)
	if o.scale != 1 {
		text += fmt.Sprintf(" -scale %g", o.scale)
	}
	if o.only != "" {
		text += " -only " + o.only
	}
	if o.other != "" {
		text += " -against " + o.other
	}
	return text
}

// machine describes what matters of it.
func machine() string {
	text := fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	software := ", " + runtime.Version() + ", Apache Kafka " + kafka.Version
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int
		if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &kib); err == nil {
			text += fmt.Sprintf(", %d GiB", kib>>20)
		}
	}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range bytes.Lines(data) {
			if name, model, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
				return text + ", " + strings.TrimSpace(model) + software
			}
		}
	}
	return text + software
}

// number writes a figure with as many digits as it deserves.
func number(x float64) string {
	switch {
	case x >= 1000 || x <= -1000:
		text := strconv.FormatFloat(x, 'f', 0, 64)
		for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}
