// Command sms-worker delivers the requests of the sms channel.
package main

import (
	"os"

	"messaging-worker/internal/app"
)

func main() {
	os.Exit(app.Main("sms"))
}
