//go:build !unix

package smtp

import "net"

// unread is not known on this system. What came unasked is noticed by the replies
// that do not fit their commands.
func unread(net.Conn) bool { return false }
