package kafka

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the child when this process dies, killed ones included.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
