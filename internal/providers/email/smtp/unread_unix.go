//go:build unix

package smtp

import (
	"errors"
	"net"
	"syscall"
)

// unread reports whether a socket has bytes that nobody has read, or an end or
// an error. It takes nothing out.
func unread(c net.Conn) bool {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	waits := false // for bytes: the socket does not block
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		waits = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err != nil || !waits
}
