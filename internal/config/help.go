package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteHelp prints how to start the binary, and every setting with its
// default and meaning.
func WriteHelp(w io.Writer, binary string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `Usage: %s [--env-file FILE] [--healthcheck] [--version] [--help]

  --env-file FILE  read settings from FILE where the environment does not set them;
                   without it, from .env in the working directory where there is one
  --healthcheck    ask the worker that runs on this host with the same settings whether it
                   lives (GET /healthz/live), and exit with 0 or 1
  --version        print the version and exit
  --help           print this and exit

Exit codes: 0 after SIGINT or SIGTERM when every provider call under way ended in time;
2 for bad settings; 1 for any other fatal fault.

Settings are environment variables. Every X, topics and groups excepted, may be set for one
channel as EMAIL_X, SMS_X or WHATSAPP_X, which wins over X. A secret X may be given as
X_FILE instead, the path of a file that holds it. Durations are decimal seconds. A variable
that is set to nothing counts as not set.

A channel has one to three request topics, its lanes: high, normal and bulk. These may be
set for a lane, as HIGH_X or BULK_X; of several the first wins of SMS_HIGH_X, HIGH_X, SMS_X
and X (BULK and other channels likewise):
`, binary)
	for _, row := range messageRows(&Config{}) {
		if row.perLane {
			fmt.Fprintf(&b, "  %s\n", row.name)
		}
	}
	section := ""
	for _, row := range table(&Config{}) {
		if row.section != section {
			section = row.section
			fmt.Fprintf(&b, "\n%s\n", section)
		}
		fmt.Fprintf(&b, "  %s%s\n", row.name, defaultText(row))
		for _, line := range wrap(row.meaning, 92) {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func defaultText(row setting) string {
	switch {
	case row.secret != nil:
		return " (secret; or " + row.name + "_FILE)"
	case row.required:
		return " (required)"
	case row.fallback != "":
		return " (" + row.fallback + ")"
	}
	return ""
}

// wrap breaks s between words into lines of at most width bytes where it can.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
