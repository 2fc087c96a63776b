// Command whatsapp-worker delivers the requests of the whatsapp channel.
package main

import (
	"os"

	"messaging-worker/internal/app"
)

func main() {
	os.Exit(app.Main("whatsapp"))
}
