package producer

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

// What is compressed is read back by the client's own decompressor, of
// whatever size, and one writer serves many batches.
func TestLZ4IsReadBack(t *testing.T) {
	t.Parallel()
	c := &lz4Compressor{}
	c.writers.New = newLZ4
	for _, size := range []int{0, 1, 1000, 300_000, batchMaxBytes} {
		batch := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		compressed, codec := c.Compress(&bytes.Buffer{}, batch)
		back, err := kgo.DefaultDecompressor().Decompress(compressed, codec)
		if err != nil || !bytes.Equal(back, batch) {
			t.Errorf("%d bytes of %d come back, %v", len(back), size, err)
		}
		if size >= 1000 && len(compressed) > size/10 {
			t.Errorf("%d bytes are compressed to %d, want a tenth at most", size, len(compressed))
		}
	}
}

func TestUnknownCompression(t *testing.T) {
	t.Parallel()
	if _, err := compression(kafka.Options{Compression: "zip"}); err == nil {
		t.Error("compression by zip is taken")
	}
}
