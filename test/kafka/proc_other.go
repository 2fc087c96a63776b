//go:build !linux

package kafka

import "os/exec"

// dieWithParent needs Linux; elsewhere a killed test leaves its Kafka behind.
func dieWithParent(*exec.Cmd) {}

// alone needs Linux; elsewhere several may download at once, which costs time.
func alone(string) (release func(), err error) { return func() {}, nil }
