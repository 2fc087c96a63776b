package app

import (
	"regexp"
	"runtime/debug"
)

// version is set by the linker for a release.
var version string

// Version returns the release, or else the commit that the binary was built
// from, or "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}

// threeNumbers is how the version of a release begins.
var threeNumbers = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)`)

// UserAgent is what the program calls itself in its HTTP calls (RFC 9110,
// 10.1.5). Meta's OpenAPI description of its API allows nothing but three
// numbers for a version, so that of a build that is no release is 0.0.0.
func UserAgent() string { return userAgent(Version()) }

func userAgent(version string) string {
	if found := threeNumbers.FindStringSubmatch(version); found != nil {
		return "messaging-worker/" + found[1]
	}
	return "messaging-worker/0.0.0"
}
