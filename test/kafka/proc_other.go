//go:build !linux

package kafka

import "os/exec"

// dieWithParent needs Linux; elsewhere a killed test leaves its Kafka behind.
func dieWithParent(*exec.Cmd) {}
