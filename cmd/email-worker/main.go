// Command email-worker delivers the requests of the email channel.
package main

import (
	"os"

	"messaging-worker/internal/app"
)

func main() {
	os.Exit(app.Main("email"))
}
