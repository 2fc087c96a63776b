//go:build !unix

package smtp

import "net"

// unread cannot be told here. What came unasked is then seen by the replies
// that do not fit their commands.
func unread(net.Conn) bool { return false }
