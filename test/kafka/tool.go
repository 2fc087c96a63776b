package kafka

import (
	"context"
	"os/exec"
	"path/filepath"
)

// Tool returns a command that runs a class of Kafka's own tools as Kafka's
// scripts do: with their heap of 512 MiB and the full compiler.
func (c *Cluster) Tool(ctx context.Context, class string, args ...string) *exec.Cmd {
	n := c.nodes[0]
	cmd := exec.CommandContext(ctx, "java", append([]string{
		"-Xmx512m", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
		"-Dlog4j2.configurationFile=" + filepath.Join(n.dir, "log4j2.yaml"), "-cp", filepath.Join(n.libs, "*"), class,
	}, args...)...)
	dieWithParent(cmd)
	return cmd
}
